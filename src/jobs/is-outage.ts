import { AppError, type ErrorCode } from '../errors.ts'

const outages: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'target_failed',
  'target_timeout',
  'overloaded',
  'shutting_down',
])

/** Whether the job could not be done for reasons that have nothing to do with it, and that pass. */
export function isOutage(error: unknown): boolean {
  return error instanceof AppError && outages.has(error.code)
}
