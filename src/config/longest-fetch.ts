import type { Config } from './config.ts'

/** How long an original may take at most: all origins of a source one after the other, and the wait for a turn. Their own limits end a fetch before. */
export function longestFetchMs({ sources, sourceTimeoutMs }: Pick<Config, 'sources' | 'sourceTimeoutMs'>): number {
  const remote = sources.filter((source) => source.kind !== 'folder')
  const totals = remote.map(({ limits, origins }) => limits.totalTimeoutMs * (origins.length + 1))
  return Math.max(sourceTimeoutMs, ...totals)
}
