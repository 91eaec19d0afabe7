import type { CacheLog, CacheTier } from './cache-tier.ts'
import type { CachedResult } from './cached-result.ts'
import { createOutageLog } from './outage-log.ts'
import { createSingleFlight, type SingleFlight } from './single-flight.ts'

export type CacheLookup =
  { readonly hit: true; readonly tier: string; readonly result: CachedResult } | { readonly hit: false }

export type CacheOutcome =
  | { readonly kind: 'hit'; readonly tier: string }
  /** `collapsed`: another request's render; `stored`: it was handed to the tiers, which may still decide not to keep it. */
  | { readonly kind: 'rendered'; readonly collapsed: boolean; readonly stored: boolean }

/** What happened, for metrics; a closed set of names. */
export type CacheEvent =
  | { readonly kind: 'hit'; readonly tier: string }
  | { readonly kind: 'miss' | 'collapsed' }
  | { readonly kind: 'tier-failed'; readonly tier: string }

export type RenderResult = (signal: AbortSignal) => Promise<CachedResult>

export interface ResultCache {
  /** Asks the tiers in order and fills those above the one that had it. Rejects only with the signal's reason. */
  get(key: string, signal: AbortSignal): Promise<CacheLookup>
  /** One lookup and one render per key at a time; answers first, stores after. Rejects with what `render` throws, or the signal's reason. */
  getOrRender(
    key: string,
    render: RenderResult,
    signal: AbortSignal,
  ): Promise<{ result: CachedResult; outcome: CacheOutcome }>
  /** Drains what is being stored and closes the tiers. */
  close(): Promise<void>
}

export type ResultFlight = SingleFlight<{ readonly result: CachedResult; readonly outcome: CacheOutcome }>

/** The tiers as one cache, the fastest first. */
export function createResultCache(deps: {
  readonly tiers: readonly CacheTier[]
  readonly log: CacheLog
  readonly singleFlight?: ResultFlight
  readonly onEvent?: (event: CacheEvent) => void
}): ResultCache {
  const { tiers, log } = deps
  const flights: ResultFlight = deps.singleFlight ?? createSingleFlight()
  const report = deps.onEvent ?? (() => undefined)
  const outages = new Map(tiers.map((tier) => [tier, createOutageLog({ log, tier: tier.name, doing: 'lookup' })]))
  const storing = new Set<Promise<void>>()
  let closed: Promise<void> | undefined

  const tierFailed = (tier: CacheTier, error: unknown) => {
    outages.get(tier)?.failed(error)
    report({ kind: 'tier-failed', tier: tier.name })
  }

  const lookUpIn = async (tier: CacheTier, key: string, signal: AbortSignal) => {
    try {
      const result = await tier.get(key, signal)
      outages.get(tier)?.succeeded()
      return result
    } catch (error) {
      signal.throwIfAborted()
      tierFailed(tier, error)
      return undefined
    }
  }

  /** A tier takes the result at once or in the background; nobody waits for it but `close()`. */
  const store = (into: readonly CacheTier[], key: string, result: CachedResult) => {
    if (closed) return false
    for (const tier of into) {
      const work = (async () => tier.set(key, result))().catch((error: unknown) => tierFailed(tier, error))
      storing.add(work)
      void work.finally(() => storing.delete(work))
    }
    return into.length > 0
  }

  const lookUp = async (key: string, signal: AbortSignal): Promise<CacheLookup> => {
    for (const [level, tier] of tiers.entries()) {
      const result = await lookUpIn(tier, key, signal)
      if (!result) continue
      store(tiers.slice(0, level), key, result)
      return { hit: true, tier: tier.name, result }
    }
    return { hit: false }
  }

  const lookUpOrRender = async (key: string, render: RenderResult, signal: AbortSignal) => {
    const found = await lookUp(key, signal)
    if (found.hit) return { result: found.result, outcome: { kind: 'hit', tier: found.tier } as const }
    const result = await render(signal)
    return { result, outcome: { kind: 'rendered', collapsed: false, stored: store(tiers, key, result) } as const }
  }

  const drain = async () => {
    await Promise.all(storing)
    await Promise.all(tiers.map((tier) => tier.close()))
  }

  return {
    get: lookUp,
    async getOrRender(key, render, signal) {
      const { value, role } = await flights.run(key, (shared) => lookUpOrRender(key, render, shared), signal)
      const outcome = seenBy(role, value.outcome)
      report(eventOf(outcome))
      return { result: value.result, outcome }
    },
    close() {
      closed ??= drain()
      return closed
    },
  }
}

function seenBy(role: 'leader' | 'follower', outcome: CacheOutcome): CacheOutcome {
  return outcome.kind === 'rendered' && role === 'follower' ? { ...outcome, collapsed: true } : outcome
}

function eventOf(outcome: CacheOutcome): CacheEvent {
  if (outcome.kind === 'hit') return outcome
  return { kind: outcome.collapsed ? 'collapsed' : 'miss' }
}
