import { createFetchedStates, staleness, type FetchedState } from './fetched-state.ts'
import {
  createOriginalFetcher,
  type FetcherEvent,
  type KnownOriginal,
  type OriginalFetcherOptions,
} from './original-fetcher.ts'
import { bytesKey } from './original-store.ts'
import { createRefusalMemory } from './refusal-memory.ts'
import type { Original, OriginalState, Source } from './source.ts'
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

  return {
    name,
    async stat(path, signal) {
      const known = await look(path, signal)
      return known && stateOf(known.state)
    },
    async read(path, signal) {
      const known = await look(path, signal)
      if (!known) return undefined
      const bytes = known.bytes ?? (await untilAborted(store.get(bytesKey(known.state.version), never), signal))
      if (bytes) return originalOf(known.state, bytes)
      // Evicted, or the disk could not take it.
      const whole = await untilAborted(fetcher.fetchOnce(path, undefined), signal)
      return whole?.bytes && originalOf(whole.state, whole.bytes)
    },
    close: () => fetcher.close(),
  }
}

function stateOf({ version, byteLength, lastModifiedMs, freshSeconds }: FetchedState): OriginalState {
  return { version, byteLength, lastModifiedMs, maxAgeSeconds: freshSeconds }
}

function originalOf(state: FetchedState, bytes: Buffer): Original {
  return { ...stateOf(state), bytes }
}
