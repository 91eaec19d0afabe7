import { BrokenCircuitError, circuitBreaker, ConsecutiveBreaker, handleWhen } from 'cockatiel'
import type { BreakerConfig } from '../config/config.ts'
import { AppError } from '../errors.ts'
import { isOutage } from './fetch-failure.ts'
import type { FetchedOriginal, RemoteOrigin, Validators } from './remote-origin.ts'

export type FallbackEvent = 'fallback_used' | 'breaker_opened' | 'breaker_closed'

export type FallbackOptions = {
  /** Asks the next origin also for what an earlier one does not have. */
  readonly whenAbsent: boolean
  readonly onEvent: (event: FallbackEvent, origin: string) => void
  readonly breaker: BreakerConfig
}

type Guarded = {
  readonly origin: RemoteOrigin
  readonly run: (work: () => Promise<FetchedOriginal>) => Promise<FetchedOriginal>
}

/**
 * Several origins as one, asked in their order. A failing one is skipped for a while by its circuit breaker; the last has
 * none, since skipping it could only turn answers into errors. Absence behind a failure is no proof: then the failure is thrown.
 */
export function createFallbackOrigin(origins: readonly RemoteOrigin[], options: FallbackOptions): RemoteOrigin {
  const guarded = origins.map((origin, at) =>
    at === origins.length - 1 ? unguarded(origin) : behindBreaker(origin, options),
  )
  return {
    name: origins[0]?.name ?? 'none',
    fetch: (path, validators, signal) => fetchFirst({ path, validators, signal }, guarded, options),
    async close() {
      await Promise.all(origins.map((origin) => origin.close()))
    },
  }
}

type Asked = { readonly path: string; readonly validators: Validators | undefined; readonly signal: AbortSignal }

async function fetchFirst(
  asked: Asked,
  guarded: readonly Guarded[],
  options: FallbackOptions,
): Promise<FetchedOriginal> {
  const { path, validators, signal } = asked
  let failure: Error | undefined
  for (const [at, { origin, run }] of guarded.entries()) {
    const isLast = at === guarded.length - 1
    if (at > 0) options.onEvent('fallback_used', origin.name)
    const own = validators?.origin === origin.name ? validators : undefined
    try {
      const fetched = await run(() => origin.fetch(path, own, signal))
      if (fetched.kind !== 'absent' || (failure === undefined && (isLast || !options.whenAbsent))) return fetched
    } catch (error) {
      if (!(error instanceof Error) || !mayPassOn(error)) throw error
      failure = error instanceof BrokenCircuitError ? (failure ?? brokenCircuit(origin, error)) : error
    }
  }
  if (failure === undefined) return { kind: 'absent' }
  throw failure
}

/** Somebody who left is no reason to bother the next, and neither is a URL or an address that is refused. */
function mayPassOn(error: Error): boolean {
  if (error instanceof BrokenCircuitError || isOutage(error)) return true
  return error instanceof AppError && error.code === 'source_denied'
}

function brokenCircuit(origin: RemoteOrigin, cause: unknown): AppError {
  return new AppError('source_unreachable', { cause, details: { origin: origin.name, reason: 'circuit open' } })
}

function unguarded(origin: RemoteOrigin): Guarded {
  return { origin, run: (work) => work() }
}

function behindBreaker(origin: RemoteOrigin, options: FallbackOptions): Guarded {
  const breaker = circuitBreaker(
    handleWhen((error) => isOutage(error)),
    {
      halfOpenAfter: options.breaker.openMs,
      breaker: new ConsecutiveBreaker(options.breaker.failuresToOpen),
    },
  )
  breaker.onBreak(() => options.onEvent('breaker_opened', origin.name))
  breaker.onReset(() => options.onEvent('breaker_closed', origin.name))
  return { origin, run: (work) => breaker.execute(work) }
}
