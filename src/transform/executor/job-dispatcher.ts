import type { RenderConfig } from '../../config/config.ts'
import { AppError } from '../../errors.ts'
import { executorLimits } from './executor-limits.ts'
import type { Job, KillReason, Ticket } from './job-ticket.ts'
import { guardRun, submitJob } from './job-ticket.ts'
import type { RefusedSources } from './refused-sources.ts'
import type { RendererProcess } from './renderer-process.ts'
import { RendererDied } from './renderer-process.ts'
import type { RendererEvent, RendererLog, RendererSlots } from './renderer-slots.ts'

export type DispatcherOptions = {
  readonly config: RenderConfig
  readonly slots: Pick<RendererSlots, 'take' | 'release'>
  readonly refusedSources: RefusedSources
  readonly log: RendererLog
  readonly onEvent: (event: RendererEvent) => void
}

/** Admission: a bounded queue before the renderers, deadlines, one more try after a crash. */
export interface JobDispatcher {
  submit<Value>(job: Job<Value>, signal: AbortSignal): Promise<Value>
  /** Gives free renderers to waiting jobs. */
  dispatch(): void
  counts(): { readonly running: number; readonly queued: number }
  /** Refuses new jobs; resolves when all admitted ones have ended. When the signal fires, those that are left are refused too. */
  drain(signal: AbortSignal): Promise<void>
}

type Dispatch = DispatcherOptions & {
  readonly queue: Ticket[]
  readonly running: Set<Ticket>
  /** Set while draining. */
  closing: { readonly whenEmpty: () => void } | undefined
}

export function createJobDispatcher(options: DispatcherOptions): JobDispatcher {
  const state: Dispatch = { ...options, queue: [], running: new Set(), closing: undefined }
  const admission = {
    admit: (ticket: Ticket) => admit(state, ticket),
    leaveQueue: (ticket: Ticket) => leaveQueue(state, ticket),
    queueLimitMs: options.config.deadlineMs,
  }
  return {
    submit: (job, signal) => submitJob(job, signal, admission),
    dispatch: () => dispatch(state),
    counts: () => ({ running: state.running.size, queued: state.queue.length }),
    async drain(signal) {
      const { promise: empty, resolve: whenEmpty } = Promise.withResolvers<void>()
      state.closing = { whenEmpty }
      signal.addEventListener('abort', () => whenEmpty(), { once: true })
      if (signal.aborted) whenEmpty()
      notifyEmpty(state)
      await empty
      for (const ticket of [...state.queue.splice(0), ...state.running]) ticket.reject(new AppError('shutting_down'))
    },
  }
}

function admit(state: Dispatch, ticket: Ticket): void {
  const { queue, config } = state
  if (state.closing) throw new AppError('shutting_down')
  if (state.refusedSources.isRefused(ticket.sourceKey, Date.now())) throw new AppError('render_refused')
  queue.push(ticket)
  dispatch(state)
  if (queue.length <= config.queueLength) return
  leaveQueue(state, ticket)
  throw new AppError('overloaded', { details: { queueLength: config.queueLength } })
}

function leaveQueue(state: Dispatch, ticket: Ticket): void {
  const index = state.queue.indexOf(ticket)
  if (index !== -1) state.queue.splice(index, 1)
  notifyEmpty(state)
}

function dispatch(state: Dispatch): void {
  while (state.queue.length > 0) {
    const renderer = state.slots.take()
    const ticket = renderer && state.queue.shift()
    if (!renderer || !ticket) return
    state.running.add(ticket)
    void runTicket(state, ticket, renderer)
  }
}

/** One attempt. Never rejects: whatever happens goes to the waiter, or the ticket back into the queue. */
async function runTicket(state: Dispatch, ticket: Ticket, renderer: RendererProcess): Promise<void> {
  const guard = guardRun(ticket, renderer, { deadlineMs: state.config.deadlineMs, onEvent: state.onEvent })
  try {
    await ticket.attempt(renderer)
  } catch (error) {
    if (error instanceof RendererDied) afterDeath(state, ticket, guard.killedFor())
    else ticket.reject(error)
  } finally {
    guard.end()
    state.running.delete(ticket)
    state.slots.release(renderer)
    dispatch(state)
    notifyEmpty(state)
  }
}

function afterDeath(state: Dispatch, ticket: Ticket, killedFor: KillReason | undefined): void {
  const { deadlineMs } = state.config
  if (killedFor === 'deadline') return ticket.reject(new AppError('render_too_slow', { details: { deadlineMs } }))
  if (killedFor === 'abandoned' || ticket.isSettled()) return
  ticket.attempts++
  state.log('warn', 'render_crashed', { sourceKey: ticket.sourceKey, attempt: ticket.attempts })
  if (ticket.attempts < executorLimits.attemptsPerJob) {
    state.queue.unshift(ticket)
    return ticket.limitWait()
  }
  state.refusedSources.refuse(ticket.sourceKey, Date.now())
  state.onEvent('source_refused')
  ticket.reject(new AppError('render_refused'))
}

function notifyEmpty({ queue, running, closing }: Dispatch): void {
  if (queue.length === 0 && running.size === 0) closing?.whenEmpty()
}
