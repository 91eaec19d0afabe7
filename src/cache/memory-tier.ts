import { LRUCache } from 'lru-cache'
import { largestEntryShare, type CacheTier, type MeasuredTier } from './cache-tier.ts'
import type { CachedResult } from './cached-result.ts'

/** What an entry costs besides its bytes: list node, map slot, object, short strings. Measured 0.7 kB of heap with six facts; the allocator adds some. */
const entryOverheadBytes = 1024

/** A body may sit in a buffer this much larger than itself (a disk entry's header) before it is worth copying. */
const tolerableSlackBytes = 4096

/** A tier that can be asked without waiting, for the hot lane. */
export interface PeekableTier {
  /** The result, which counts as used. */
  peek(key: string): CachedResult | undefined
}

/** Keeps results in this process, least recently used out first. `maxBytes` counts bodies plus an estimate of everything around them. */
export function createMemoryTier(options: { readonly maxBytes: number }): CacheTier & MeasuredTier & PeekableTier {
  const maxBytes = Math.max(1, Math.floor(options.maxBytes))
  const maxEntryBytes = Math.max(1, Math.floor(maxBytes * largestEntryShare))
  const counts = { evicted: 0, dropped: 0 }
  const entries = new LRUCache<string, CachedResult>({
    maxSize: maxBytes,
    sizeCalculation: sizeOf,
    dispose: (_result, _key, reason) => {
      if (reason === 'evict') counts.evicted += 1
    },
  })

  return {
    name: 'memory',
    get: (key, signal) => (signal.aborted ? Promise.reject(signal.reason as Error) : Promise.resolve(entries.get(key))),
    peek: (key) => entries.get(key),
    /** The entry is there before this returns, so that a render never ends with nobody knowing its result. */
    set(key, result) {
      const kept = withOwnBytes(result)
      if (sizeOf(kept) <= maxEntryBytes) {
        entries.set(key, kept)
        return Promise.resolve()
      }
      // An older result under the same key must not outlive the newer one.
      entries.delete(key)
      counts.dropped += 1
      return Promise.resolve()
    },
    delete(key) {
      entries.delete(key)
      return Promise.resolve()
    },
    close() {
      entries.clear()
      return Promise.resolve()
    },
    stats: () => ({
      entries: entries.size,
      bytes: entries.calculatedSize,
      maxBytes,
      ...counts,
      corrupt: 0,
      readErrors: 0,
      writeErrors: 0,
    }),
  }
}

function sizeOf(result: CachedResult): number {
  return result.body.buffer.byteLength + entryOverheadBytes
}

/** A slice of a pooled slab would keep the whole slab alive, unseen by the size limit. */
function withOwnBytes(result: CachedResult): CachedResult {
  if (result.body.buffer.byteLength - result.body.length <= tolerableSlackBytes) return result
  const body = Buffer.allocUnsafeSlow(result.body.length)
  result.body.copy(body)
  return { ...result, body }
}
