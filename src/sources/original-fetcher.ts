import { hash } from 'node:crypto'
import type { FreshnessConfig } from '../config/config.ts'
import { AppError } from '../errors.ts'
import { isOutage } from './fetch-failure.ts'
import { staleness, type FetchedState, type FetchedStates } from './fetched-state.ts'
import { bytesKey, type OriginalStore } from './original-store.ts'
import type { RefusalMemory } from './refusal-memory.ts'
import type { FetchedOriginal, RemoteOrigin } from './remote-origin.ts'

export type FetcherEvent = 'fetched' | 'unmodified' | 'absent' | 'failed' | 'stale_on_error'

export type OriginalFetcherOptions = {
  readonly origin: RemoteOrigin
  readonly store: OriginalStore
  readonly states: FetchedStates
  readonly refusals: RefusalMemory
  readonly freshness: FreshnessConfig
  /** Where the origin says nothing about freshness. */
  readonly silentFreshSeconds: number
  /** Waits for its turn to fetch; throws `overloaded`. Resolves with the function that ends the turn. */
  readonly takeTurn: (signal: AbortSignal) => Promise<() => void>
  readonly onEvent: (event: FetcherEvent) => void
  readonly now: () => number
}

/** `bytes` are there when they were just fetched. */
export type KnownOriginal = { readonly state: FetchedState; readonly bytes?: Buffer }

/** Asks the origin and keeps what it says. */
export interface OriginalFetcher {
  /**
   * With a state only what is newer is fetched, without one the whole; undefined when the origin has none. One fetch at a
   * time for each path, whoever waits for it; it goes on when they leave, as the next will want it.
   */
  fetchOnce(path: string, state: FetchedState | undefined): Promise<KnownOriginal | undefined>
  /** Ends what runs, and waits for what is being kept. */
  close(): Promise<void>
}

/** While an origin is down, it is asked again at most this often for one original. */
const retryMs = 10_000

export function createOriginalFetcher(options: OriginalFetcherOptions): OriginalFetcher {
  const { origin } = options
  const closing = new AbortController()
  const fetching = new Map<string, Promise<KnownOriginal | undefined>>()
  const saving = new Set<Promise<void>>()

  const save = (work: Promise<void>): void => {
    saving.add(work)
    void work.finally(() => saving.delete(work))
  }
  async function fetchOriginal(path: string, state: FetchedState | undefined): Promise<KnownOriginal | undefined> {
    const asked = { path, state, nowMs: options.now() }
    try {
      const endTurn = await options.takeTurn(closing.signal)
      const fetched = await origin.fetch(path, state?.validators, closing.signal).finally(endTurn)
      return takeAnswer(fetched, { ...asked, nowMs: options.now() }, options, save)
    } catch (error) {
      if (closing.signal.aborted) throw error
      return takeFailure(error, { ...asked, nowMs: options.now() }, options, save)
    }
  }

  return {
    fetchOnce(path, state) {
      const key = `${state ? 'newer' : 'whole'} ${path}`
      const underWay = fetching.get(key)
      if (underWay) return underWay
      const work = fetchOriginal(path, state).finally(() => fetching.delete(key))
      fetching.set(key, work)
      return work
    },
    async close() {
      closing.abort(new AppError('shutting_down'))
      await Promise.allSettled(fetching.values())
      await Promise.allSettled(saving)
      await origin.close()
    },
  }
}

type Asked = { readonly path: string; readonly state: FetchedState | undefined; readonly nowMs: number }
type Save = (work: Promise<void>) => void

function takeAnswer(
  fetched: FetchedOriginal,
  { path, state, nowMs }: Asked,
  options: OriginalFetcherOptions,
  save: Save,
): KnownOriginal | undefined {
  const { states, store, freshness } = options
  if (fetched.kind === 'absent') {
    options.onEvent('absent')
    options.refusals.remember(path, undefined, nowMs)
    save(states.drop(path))
    return undefined
  }
  const answered = { validators: { ...fetched.validators }, checkedAtMs: nowMs, retryAtMs: 0 }
  if (fetched.kind === 'unmodified') {
    if (!state) throw new AppError('source_failed', { details: { reason: '304 without a condition' } })
    options.onEvent('unmodified')
    const freshSeconds = clamp(fetched.freshSeconds ?? state.freshSeconds, freshness)
    const renewed = { ...state, ...answered, freshSeconds }
    save(states.save(path, renewed))
    return { state: renewed }
  }
  options.onEvent('fetched')
  const { bytes } = fetched
  const version = hash('sha256', bytes, 'base64url')
  const sameAsBefore = version === state?.version ? state.lastModifiedMs : undefined
  const lastModifiedMs = fetched.lastModifiedMs ?? sameAsBefore ?? nowMs
  const freshSeconds = clamp(fetched.freshSeconds ?? options.silentFreshSeconds, freshness)
  const found = { version, byteLength: bytes.length, lastModifiedMs, ...answered, freshSeconds }
  save(store.set(bytesKey(version), bytes))
  save(states.save(path, found))
  return { state: found, bytes }
}

/** A source that is down keeps what it had; what it refuses is remembered, so that it is not asked for every request. */
function takeFailure(
  error: unknown,
  { path, state, nowMs }: Asked,
  options: OriginalFetcherOptions,
  save: Save,
): KnownOriginal {
  options.onEvent('failed')
  if (state && isOutage(error) && staleness(state, nowMs) < options.freshness.staleIfErrorSeconds * 1000) {
    options.onEvent('stale_on_error')
    const kept = { ...state, retryAtMs: nowMs + retryMs }
    save(options.states.save(path, kept))
    return { state: kept }
  }
  if (error instanceof AppError && error.status < 500) options.refusals.remember(path, error, nowMs)
  throw error
}

function clamp(seconds: number, { minFreshSeconds, maxFreshSeconds }: FreshnessConfig): number {
  return Math.min(Math.max(seconds, minFreshSeconds), maxFreshSeconds)
}
