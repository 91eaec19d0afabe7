import type { Logger } from '../observability/create-logger.ts'
import type { CachedResult } from './cached-result.ts'

/** One level of the result cache. A broken tier is a miss, never an error (rule 17); keys are lower-case hex or base64url, 16..64 chars. */
export interface CacheTier {
  readonly name: string
  get(key: string, signal: AbortSignal): Promise<CachedResult | undefined>
  /** Resolves when the result is kept, or when it was decided not to keep it. Never rejects. */
  set(key: string, result: CachedResult): Promise<void>
  delete(key: string): Promise<void>
  /** Drains writes in flight. */
  close(): Promise<void>
}

/** A tier that can say how full it is; the second interface of the local tiers. */
export interface MeasuredTier {
  stats(): TierStats
}

/** Gauges first (`entries`, `bytes`), then counters since start. */
export type TierStats = {
  readonly entries: number
  readonly bytes: number
  readonly maxBytes: number
  /** Thrown out to make room. */
  readonly evicted: number
  /** Offered but not kept: too large, or too much was waiting to be written. */
  readonly dropped: number
  /** Found truncated or altered, and removed. */
  readonly corrupt: number
  readonly readErrors: number
  readonly writeErrors: number
}

/** The part of the logger that the cache uses. */
export type CacheLog = Pick<Logger, 'info' | 'warn'>

/** Safe as a file name, and long enough to be a hash. */
export const cacheKey = /^[A-Za-z0-9_-]{16,64}$/

/** One picture above this share of a tier would throw out too many others; with 1/8 at least eight of the largest fit. */
export const largestEntryShare = 1 / 8
