import type { AppError } from '../errors.ts'

/** Remembers for a short while that a path has nothing to give: absence (`undefined`), or a refusal that will not pass soon. */
export interface RefusalMemory {
  recall(path: string, nowMs: number): { readonly error: AppError | undefined } | undefined
  remember(path: string, error: AppError | undefined, nowMs: number): void
}

export function createRefusalMemory(options: { readonly ttlMs: number; readonly maxEntries: number }): RefusalMemory {
  const refusals = new Map<string, { readonly error: AppError | undefined; readonly atMs: number }>()
  return {
    recall(path, nowMs) {
      const refusal = refusals.get(path)
      if (!refusal) return undefined
      const ageMs = nowMs - refusal.atMs
      if (ageMs >= 0 && ageMs < options.ttlMs) return refusal
      refusals.delete(path)
      return undefined
    },
    remember(path, error, nowMs) {
      if (options.ttlMs === 0) return
      refusals.delete(path)
      refusals.set(path, { error, atMs: nowMs })
      const oldest = refusals.size > options.maxEntries ? refusals.keys().next().value : undefined
      if (oldest !== undefined) refusals.delete(oldest)
    },
  }
}
