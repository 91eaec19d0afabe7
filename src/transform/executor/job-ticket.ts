import { AppError, toAppError } from '../../errors.ts'
import type { TransformPlan } from '../planner/transform-plan.ts'
import type { QueueEntry } from './render-queue.ts'
import type { RendererProcess } from './renderer-process.ts'

/** What is predicted of a job, ms; each less than the one before it. */
export type Forecast = {
  /** Whether the header of the original is known; until then only its length speaks. */
  readonly isKnown: boolean
  readonly coldMs: number
  /** On a renderer that has kept `decode`, undefined when this job cannot start from one. */
  readonly decodedMs: number
  readonly decode: string | undefined
  /** On a renderer that has kept `drawing`. */
  readonly drawnMs: number
  readonly drawing: string | undefined
}

export type Job<Value> = {
  readonly sourceKey: string
  readonly sourceName: string
  /** Bytes it holds while it waits. */
  readonly bytes: number
  readonly isBackground?: boolean
  /** Asked again when more is known of the original. */
  readonly forecast: () => Forecast
  /** What it carries out, once that is known; for the log. */
  readonly plan: () => TransformPlan | undefined
  /** Predicted work of that plan, ms. */
  readonly workMs?: () => number | undefined
  /** Talks with the renderer. Whatever it throws, but for RendererDied, leaves the renderer healthy. */
  readonly perform: (renderer: RendererProcess, queueMs: number) => Promise<Value>
}

/** A job on its way: in the queue or on a renderer, with somebody waiting or not any more. */
export type Ticket = QueueEntry & {
  readonly sourceKey: string
  readonly signal: AbortSignal
  readonly forecast: () => Forecast
  readonly plan: () => TransformPlan | undefined
  readonly workMs: () => number | undefined
  /** Predicts anew. */
  readonly reforecast: () => void
  /** Runs one attempt and settles the waiter, unless the renderer dies (then it throws RendererDied). */
  readonly attempt: (renderer: RendererProcess) => Promise<void>
  readonly reject: (error: unknown) => void
  /** Starts the clock of its wait in the queue. */
  readonly limitWait: () => void
  readonly isSettled: () => boolean
  attempts: number
  /** The next try goes to a renderer that was started later: those that died in the same moment are not all known to be dead. */
  freshAfterMs: number
}

export type Admission = {
  /** Takes the ticket in, or throws. */
  readonly admit: (ticket: Ticket) => void
  readonly leaveQueue: (ticket: Ticket) => void
  readonly queueLimitMs: number
}

/** Makes a job a ticket, and frees its waiter when it is done, when the signal fires, or when it has queued too long. */
export function submitJob<Value>(job: Job<Value>, signal: AbortSignal, admission: Admission): Promise<Value> {
  if (signal.aborted) return Promise.reject(toError(signal.reason))
  const { promise, resolve, reject } = Promise.withResolvers<Value>()
  const queuedAtMs = performance.now()
  let queueTimer: NodeJS.Timeout | undefined
  let isSettled = false
  let forecast = job.forecast()
  const settle = (act: () => void): void => {
    if (isSettled) return
    isSettled = true
    clearTimeout(queueTimer)
    signal.removeEventListener('abort', onAbort)
    act()
  }
  const leave = (error: unknown): void => {
    admission.leaveQueue(ticket)
    ticket.reject(error)
  }
  const onAbort = (): void => leave(signal.reason)
  const ticket: Ticket = {
    sourceKey: job.sourceKey,
    sourceName: job.sourceName,
    bytes: job.bytes,
    isBackground: job.isBackground ?? false,
    queuedAtMs,
    costMs: () => forecast.coldMs,
    forecast: () => forecast,
    plan: job.plan,
    workMs: job.workMs ?? (() => undefined),
    reforecast: () => void (forecast = job.forecast()),
    signal,
    async attempt(renderer) {
      clearTimeout(queueTimer)
      const value = await job.perform(renderer, performance.now() - queuedAtMs)
      settle(() => resolve(value))
    },
    reject: (error) => settle(() => reject(toError(error))),
    limitWait: () => (queueTimer = setTimeout(() => leave(new AppError('overloaded')), admission.queueLimitMs)),
    isSettled: () => isSettled,
    attempts: 0,
    freshAfterMs: 0,
  }
  signal.addEventListener('abort', onAbort, { once: true })
  ticket.limitWait()
  admitOrReject(ticket, admission)
  return promise
}

function admitOrReject(ticket: Ticket, admission: Admission): void {
  try {
    admission.admit(ticket)
  } catch (error) {
    ticket.reject(error)
  }
}

function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : toAppError(thrown)
}
