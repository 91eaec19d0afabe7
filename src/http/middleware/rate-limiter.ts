import { createHash } from 'node:crypto'
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'

/** What is left of a limit after a request was counted. */
export type RateState = {
  readonly limit: number
  readonly windowSeconds: number
  readonly remaining: number
  /** Whole seconds until the count begins anew. */
  readonly resetSeconds: number
  readonly isExceeded: boolean
}

/** Counts by key. Implementations: memory; Redis, where several processes count together. */
export interface RateLimiter {
  consume(key: string): Promise<RateState>
}

export type RateLimit = { readonly points: number; readonly windowSeconds: number }

/** About 20 MB when all limiters of a small server are full. */
const defaultMaxKeys = 50_000
/** Whoever comes when all are taken shares a count with others; a flood of addresses then limits itself. */
const sharedCounts = 1024

/** A limiter of this process alone, of bounded memory. */
export function createMemoryRateLimiter(
  { points, windowSeconds }: RateLimit,
  { maxKeys = defaultMaxKeys, now = Date.now }: { readonly maxKeys?: number; readonly now?: () => number } = {},
): RateLimiter {
  const limiter = new RateLimiterMemory({ points, duration: windowSeconds })
  // Keys that were new in this window and in the one before: at least as many as the limiter holds.
  const fresh = { windowStartMs: now(), current: 0, previous: 0 }

  function turnWindow(): void {
    const passed = Math.floor((now() - fresh.windowStartMs) / (windowSeconds * 1000))
    if (passed < 1) return
    fresh.previous = passed === 1 ? fresh.current : 0
    fresh.current = 0
    fresh.windowStartMs += passed * windowSeconds * 1000
  }

  async function countedAs(key: string): Promise<string> {
    turnWindow()
    const digest = createHash('sha256').update(key).digest()
    const own = digest.toString('base64url', 0, 18)
    if (fresh.current + fresh.previous < maxKeys || (await limiter.get(own)) !== null) return own
    return `shared:${String(digest.readUInt32BE(0) % sharedCounts)}`
  }

  function stateOf(result: RateLimiterRes | null): RateState {
    const msBeforeNext = result?.msBeforeNext ?? windowSeconds * 1000
    return {
      limit: points,
      windowSeconds,
      remaining: Math.max(0, points - (result?.consumedPoints ?? 0)),
      resetSeconds: Math.max(1, Math.ceil(msBeforeNext / 1000)),
      isExceeded: (result?.consumedPoints ?? 0) > points,
    }
  }

  return {
    async consume(key) {
      const counted = await countedAs(key)
      const result = await limiter.consume(counted).catch((refused: unknown) => {
        // The library rejects with the state when the points are used up.
        if (refused instanceof RateLimiterRes) return refused
        throw refused
      })
      if (result.isFirstInDuration) fresh.current += 1
      return stateOf(result)
    },
  }
}
