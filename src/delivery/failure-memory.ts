import type { AppError } from '../errors.ts'

/**
 * Remembers for a short while that a key cannot be rendered, so that a malformed original costs one render a minute, not
 * one a request. Only errors that the original itself causes are worth it; passing trouble is retried at once.
 */
export interface FailureMemory {
  recall(key: string, nowMs: number): AppError | undefined
  remember(key: string, error: AppError, nowMs: number): void
}

export function createFailureMemory(options: { readonly ttlMs: number; readonly maxEntries: number }): FailureMemory {
  const failures = new Map<string, { error: AppError; untilMs: number }>()
  return {
    recall(key, nowMs) {
      const failure = failures.get(key)
      if (failure && failure.untilMs > nowMs) return failure.error
      failures.delete(key)
      return undefined
    },
    remember(key, error, nowMs) {
      if (error.status !== 422) return
      failures.delete(key)
      failures.set(key, { error, untilMs: nowMs + options.ttlMs })
      const oldest = failures.keys().next().value
      if (failures.size > options.maxEntries && oldest !== undefined) failures.delete(oldest)
    },
  }
}
