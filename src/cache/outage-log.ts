import type { CacheLog } from './cache-tier.ts'

export interface OutageLog {
  failed(error: unknown): void
  succeeded(): void
  count(): number
}

/** A full disk takes a write now and then, as eviction frees some space: only a success this long after the last failure ends an outage. */
const quietMs = 60_000

/** Counts every failure, but logs only the first of a series and its end: a full disk must not fill the log as well. */
export function createOutageLog(options: {
  readonly log: CacheLog
  readonly tier: string
  readonly doing: 'read' | 'write' | 'lookup'
}): OutageLog {
  const { log, tier, doing } = options
  let failures = 0
  let failing = false
  let lastFailureMs = 0

  return {
    failed(error) {
      failures += 1
      lastFailureMs = Date.now()
      if (failing) return
      failing = true
      log.warn(`cache_${doing}_failed`, { tier, code: errorCodeOf(error), error: String(error) })
    },
    succeeded() {
      if (!failing || Date.now() - lastFailureMs < quietMs) return
      failing = false
      log.info(`cache_${doing}_recovered`, { tier, failures })
    },
    count: () => failures,
  }
}

/** The stable code of a system or SQLite error, else its name. */
export function errorCodeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}
