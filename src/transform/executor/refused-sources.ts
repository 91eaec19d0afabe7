/** Remembers which sources have killed renderers, for a while and not more than `maxEntries` of them. */
export interface RefusedSources {
  readonly size: number
  refuse(sourceKey: string, nowMs: number): void
  isRefused(sourceKey: string, nowMs: number): boolean
}

export function createRefusedSources(options: {
  readonly refuseMs: number
  readonly maxEntries: number
}): RefusedSources {
  const untilMs = new Map<string, number>()
  return {
    get size() {
      return untilMs.size
    },
    refuse(sourceKey, nowMs) {
      untilMs.delete(sourceKey)
      untilMs.set(sourceKey, nowMs + options.refuseMs)
      const [oldest] = untilMs.keys()
      if (untilMs.size > options.maxEntries && oldest !== undefined) untilMs.delete(oldest)
    },
    isRefused(sourceKey, nowMs) {
      const until = untilMs.get(sourceKey)
      if (until === undefined) return false
      if (until > nowMs) return true
      untilMs.delete(sourceKey)
      return false
    },
  }
}
