import { hash } from 'node:crypto'
import type { FreshnessConfig } from '../config/config.ts'
import { AppError } from '../errors.ts'
import { isOutage } from './fetch-failure.ts'
import { createFetchedStates, type FetchedState } from './fetched-state.ts'
import type { OriginalStore } from './original-store.ts'
import { createRefusalMemory } from './refusal-memory.ts'
import type { FetchedOriginal, RemoteOrigin } from './remote-origin.ts'
import type { Original, OriginalState, Source } from './source.ts'
import { abortError, untilAborted } from './until-aborted.ts'

export type CachedSourceEvent = 'fetched' | 'unmodified' | 'absent' | 'failed' | 'stale_served' | 'stale_on_error'

export type CachedSourceOptions = {
  readonly name: string
  /** Names the place behind the source, without secrets. */
  readonly identity: string
  readonly origin: RemoteOrigin
  readonly store: OriginalStore
  readonly freshness: FreshnessConfig
  /** Where the origin says nothing about freshness. */
  readonly silentFreshSeconds: number
  /** How long after its freshness an original is served at once while it is asked for anew. */
  readonly staleWhileRevalidateSeconds: number
  /** Throws `path_invalid`. */
  readonly assertPath: (path: string) => void
  /** Waits for its turn to fetch; throws `overloaded`. Resolves with the function that ends the turn. */
  readonly takeTurn: (signal: AbortSignal) => Promise<() => void>
  readonly onEvent: (event: CachedSourceEvent) => void
  readonly now?: () => number
}

/** `bytes` are there when they were just fetched. */
type Known = { readonly state: FetchedState; readonly bytes?: Buffer }

/** While an origin is down, it is asked again at most this often for one original. */
const retryMs = 10_000
const maxRefusals = 10_000

/**
 * A source of fetched originals. The version is the SHA-256 of the bytes, so an original that was only touched keeps its
 * variants. One fetch at a time for each path, whoever waits for it; it goes on when they leave, as the next will want it.
 */
export function createCachedSource(options: CachedSourceOptions): Source {
  const { name, origin, store, freshness, onEvent, now = Date.now } = options
  const states = createFetchedStates(options.identity, store)
  const refusals = createRefusalMemory({ ttlMs: freshness.negativeSeconds * 1000, maxEntries: maxRefusals })
  const closing = new AbortController()
  const fetching = new Map<string, Promise<Known | undefined>>()
  const saving = new Set<Promise<void>>()

  function track(work: Promise<void>): void {
    saving.add(work)
    void work.finally(() => saving.delete(work))
  }

  async function look(path: string, signal: AbortSignal): Promise<Known | undefined> {
    if (signal.aborted) throw abortError(signal)
    options.assertPath(path)
    const refusal = refusals.recall(path, now())
    if (refusal?.error) throw refusal.error
    if (refusal) return undefined
    const state = await untilAborted(states.load(path, closing.signal), signal)
    if (!state) return untilAborted(fetchOnce(path, undefined), signal)
    const staleMs = staleness(state, now())
    if (staleMs < 0 || state.retryAtMs > now()) return { state }
    if (staleMs >= options.staleWhileRevalidateSeconds * 1000) return untilAborted(fetchOnce(path, state), signal)
    onEvent('stale_served')
    // Its failure was counted where it happened; the next one to ask finds out.
    fetchOnce(path, state).catch(() => undefined)
    return { state }
  }

  /** With a state only what is newer is fetched; without one the whole. */
  function fetchOnce(path: string, state: FetchedState | undefined): Promise<Known | undefined> {
    const key = `${state ? 'newer' : 'whole'} ${path}`
    const underWay = fetching.get(key)
    if (underWay) return underWay
    const work = fetchOriginal(path, state).finally(() => fetching.delete(key))
    fetching.set(key, work)
    return work
  }

  async function fetchOriginal(path: string, state: FetchedState | undefined): Promise<Known | undefined> {
    try {
      const endTurn = await options.takeTurn(closing.signal)
      const fetched = await origin.fetch(path, state?.validators, closing.signal).finally(endTurn)
      return take(path, state, fetched)
    } catch (error) {
      return fallBack(path, state, error)
    }
  }

  function take(path: string, state: FetchedState | undefined, fetched: FetchedOriginal): Known | undefined {
    const checkedAtMs = now()
    if (fetched.kind === 'absent') {
      onEvent('absent')
      refusals.remember(path, undefined, checkedAtMs)
      track(states.drop(path))
      return undefined
    }
    if (fetched.kind === 'unmodified') {
      if (!state) throw new AppError('source_failed', { details: { reason: '304 without a condition' } })
      onEvent('unmodified')
      const { validators } = fetched
      const freshSeconds = clamp(fetched.freshSeconds ?? state.freshSeconds, freshness)
      return keep(path, { ...state, validators: { ...validators }, checkedAtMs, freshSeconds, retryAtMs: 0 })
    }
    onEvent('fetched')
    const { bytes, validators } = fetched
    const version = hash('sha256', bytes, 'base64url')
    const isSame = version === state?.version
    track(store.set(bytesKey(version), bytes))
    return {
      ...keep(path, {
        version,
        byteLength: bytes.length,
        lastModifiedMs: fetched.lastModifiedMs ?? (isSame ? state.lastModifiedMs : checkedAtMs),
        validators: { ...validators },
        checkedAtMs,
        freshSeconds: clamp(fetched.freshSeconds ?? options.silentFreshSeconds, freshness),
        retryAtMs: 0,
      }),
      bytes,
    }
  }

  function keep(path: string, state: FetchedState): Known {
    track(states.save(path, state))
    return { state }
  }

  /** A source that is down keeps what it had; what it refuses is remembered, so that it is not asked for every request. */
  function fallBack(path: string, state: FetchedState | undefined, error: unknown): Known {
    if (closing.signal.aborted) throw error
    onEvent('failed')
    const nowMs = now()
    if (state && isOutage(error) && staleness(state, nowMs) < freshness.staleIfErrorSeconds * 1000) {
      onEvent('stale_on_error')
      return keep(path, { ...state, retryAtMs: nowMs + retryMs })
    }
    if (error instanceof AppError && error.status < 500) refusals.remember(path, error, nowMs)
    throw error
  }

  return {
    name,
    async stat(path, signal) {
      const known = await look(path, signal)
      return known && stateOf(known.state)
    },
    async read(path, signal) {
      const known = await look(path, signal)
      if (!known) return undefined
      const bytes =
        known.bytes ?? (await untilAborted(store.get(bytesKey(known.state.version), closing.signal), signal))
      if (bytes) return originalOf(known.state, bytes)
      // Evicted, or the disk could not take it.
      const whole = await untilAborted(fetchOnce(path, undefined), signal)
      return whole?.bytes && originalOf(whole.state, whole.bytes)
    },
    async close() {
      closing.abort(new AppError('shutting_down'))
      await Promise.allSettled(fetching.values())
      await Promise.allSettled(saving)
      await origin.close()
    },
  }
}

/** Milliseconds since the end of freshness, negative before it. A clock that was set back makes everything stale. */
function staleness(state: FetchedState, nowMs: number): number {
  const ageMs = nowMs - state.checkedAtMs
  return ageMs < 0 ? 0 : ageMs - state.freshSeconds * 1000
}

function clamp(seconds: number, { minFreshSeconds, maxFreshSeconds }: FreshnessConfig): number {
  return Math.min(Math.max(seconds, minFreshSeconds), maxFreshSeconds)
}

/** By content: an original under two paths, or back under an old version, is kept once. */
function bytesKey(version: string): string {
  return `bytes-${version}`
}

function stateOf({ version, byteLength, lastModifiedMs, freshSeconds }: FetchedState): OriginalState {
  return { version, byteLength, lastModifiedMs, maxAgeSeconds: freshSeconds }
}

function originalOf(state: FetchedState, bytes: Buffer): Original {
  return { ...stateOf(state), bytes }
}
