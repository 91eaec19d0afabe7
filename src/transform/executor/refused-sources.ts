/** Remembers which sources have killed renderers, for a while and not more than `maxEntries` of them. */
export interface RefusedSources {
  readonly size: number
  /** `fromMs` of predicted work on, so that cheaper variants go on; without it whatever is asked of the source. */
  refuse(sourceKey: string, nowMs: number, fromMs?: number): void
  isRefused(sourceKey: string, nowMs: number, workMs?: number): boolean
}

type Refusal = { readonly untilMs: number; readonly fromMs: number }

export function createRefusedSources(options: {
  readonly refuseMs: number
  readonly maxEntries: number
}): RefusedSources {
  const refusals = new Map<string, Refusal>()
  const find = (sourceKey: string, nowMs: number): Refusal | undefined => {
    const refusal = refusals.get(sourceKey)
    if (refusal === undefined || refusal.untilMs > nowMs) return refusal
    refusals.delete(sourceKey)
    return undefined
  }
  return {
    get size() {
      return refusals.size
    },
    refuse(sourceKey, nowMs, fromMs = 0) {
      const known = find(sourceKey, nowMs)?.fromMs ?? Infinity
      refusals.delete(sourceKey)
      refusals.set(sourceKey, { untilMs: nowMs + options.refuseMs, fromMs: Math.min(known, fromMs) })
      const [oldest] = refusals.keys()
      if (refusals.size > options.maxEntries && oldest !== undefined) refusals.delete(oldest)
    },
    isRefused(sourceKey, nowMs, workMs = 0) {
      const refusal = find(sourceKey, nowMs)
      return refusal !== undefined && workMs >= refusal.fromMs
    },
  }
}
