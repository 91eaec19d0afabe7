import type { CacheTier } from './cache-tier.ts'

/** Structurally the `OriginalStore` of the sources room; declared again, as rooms of one floor do not import each other. */
export interface OriginalCache {
  get(key: string, signal: AbortSignal): Promise<Buffer | undefined>
  set(key: string, bytes: Buffer): Promise<void>
  delete(key: string): Promise<void>
  close(): Promise<void>
}

/** Keeps fetched originals and their states in a tier of their own: checked on the way out, bounded, gone when nobody uses them. */
export function createOriginalCache(tier: CacheTier, now: () => number = Date.now): OriginalCache {
  return {
    async get(key, signal) {
      return (await tier.get(key, signal))?.body
    },
    set: (key, body) =>
      tier.set(key, { body, contentType: 'application/octet-stream', etag: '', createdAtMs: now(), facts: {} }),
    delete: (key) => tier.delete(key),
    close: () => tier.close(),
  }
}
