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
