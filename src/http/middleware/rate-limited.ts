import { AppError } from '../../errors.ts'
import type { RateState } from './rate-limiter.ts'

/** 429 with the time to wait; `what` is what there was too much of. */
export function rateLimited({ limit, windowSeconds, resetSeconds }: RateState, what: string): AppError {
  const detail = `No more than ${String(limit)} ${what} in ${String(windowSeconds)} seconds are allowed; try again in ${String(resetSeconds)} seconds.`
  return new AppError('rate_limited', { detail, details: { retryAfterSeconds: resetSeconds } })
}
