import { createFetchedStates, staleness, type FetchedState } from './fetched-state.ts'
import {
  createOriginalFetcher,
  type FetcherEvent,
  type KnownOriginal,
  type OriginalFetcherOptions,
} from './original-fetcher.ts'
import { bytesKey } from './original-store.ts'
import { createRefusalMemory } from './refusal-memory.ts'
import type { OriginalState, Source } from './source.ts'
import { abortError, untilAborted } from './until-aborted.ts'

export type CachedSourceEvent = FetcherEvent | 'stale_served'

export type CachedSourceOptions = Omit<OriginalFetcherOptions, 'states' | 'refusals' | 'onEvent' | 'now'> & {
  readonly name: string
  /** Names the place behind the source, without secrets. */
  readonly identity: string
  /** How long after its freshness an original is served at once while it is asked for anew. */
  readonly staleWhileRevalidateSeconds: number
  /** Throws for what this source never serves, also when it is kept from before. */
  readonly assertPath: (path: string) => void
  readonly onEvent: (event: CachedSourceEvent) => void
  readonly now?: () => number
}

/** `bytes` are there when they were just fetched. */
type ToldOriginal = { readonly state: OriginalState; readonly bytes?: Buffer }

const maxRefusals = 10_000

/**
 * A source of fetched originals, kept in a store and asked for again when they are no longer fresh. The version is the
 * SHA-256 of the bytes, so an original that was only touched keeps its variants.
 */
export function createCachedSource(options: CachedSourceOptions): Source {
  const { name, store, now = Date.now } = options
  const states = createFetchedStates(options.identity, store)
  const refusals = createRefusalMemory({ ttlMs: options.freshness.negativeSeconds * 1000, maxEntries: maxRefusals })
  const fetcher = createOriginalFetcher({ ...options, states, refusals, now })
  // What is kept is read to its end, whoever leaves: the next one wants it.
  const never = new AbortController().signal

  async function look(path: string, signal: AbortSignal): Promise<KnownOriginal | undefined> {
    if (signal.aborted) throw abortError(signal)
    options.assertPath(path)
    const refusal = refusals.recall(path, now())
    if (refusal?.error) throw refusal.error
    if (refusal) return undefined
    const state = await untilAborted(states.load(path, never), signal)
    if (!state) return untilAborted(fetcher.fetchOnce(path, undefined), signal)
    const staleMs = staleness(state, now())
    if (staleMs < 0 || state.retryAtMs > now()) return { state }
    const renewal = fetcher.fetchOnce(path, state)
    if (staleMs >= options.staleWhileRevalidateSeconds * 1000) return untilAborted(renewal, signal)
    options.onEvent('stale_served')
    // Its failure was counted where it happened; the next one to ask finds out.
    renewal.catch(() => undefined)
    return { state }
  }

  async function lookAndTell(path: string, signal: AbortSignal): Promise<ToldOriginal | undefined> {
    const known = await look(path, signal)
    return known && { ...known, state: stateOf(known.state) }
  }

  /** Bytes are kept by what they are, so whatever is found under its version is the one that was told of. */
  function believe(path: string, told: OriginalState, signal: AbortSignal): ToldOriginal {
    if (signal.aborted) throw abortError(signal)
    options.assertPath(path)
    return { state: told }
  }

  return {
    name,
    stat: async (path, signal) => (await lookAndTell(path, signal))?.state,
    async read(path, signal, told) {
      const known = told ? believe(path, told, signal) : await lookAndTell(path, signal)
      if (!known) return undefined
      const bytes = known.bytes ?? (await untilAborted(store.get(bytesKey(known.state.version), never), signal))
      if (bytes) return { ...known.state, bytes }
      // Evicted, or the disk could not take it.
      const whole = await untilAborted(fetcher.fetchOnce(path, undefined), signal)
      return whole?.bytes && { ...stateOf(whole.state), bytes: whole.bytes }
    },
    close: () => fetcher.close(),
  }
}

/** While its origin is down, an original is believed until the next try. */
function stateOf({ version, byteLength, lastModifiedMs, ...state }: FetchedState): OriginalState {
  const freshUntilMs = Math.max(state.checkedAtMs + state.freshSeconds * 1000, state.retryAtMs)
  return { version, byteLength, lastModifiedMs, freshUntilMs }
}
