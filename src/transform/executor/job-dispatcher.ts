import type { RenderConfig } from '../../config/config.ts'
import { AppError, toAppError } from '../../errors.ts'
import { executorLimits } from './executor-limits.ts'
import type { RefusedSources } from './refused-sources.ts'
import type { RendererProcess } from './renderer-process.ts'
import { RendererDied } from './renderer-process.ts'
import type { RendererEvent, RendererLog, RendererSlots } from './renderer-slots.ts'

export type Job<Value> = {
  readonly sourceKey: string
  /** Talks with the renderer. Whatever it throws, but for RendererDied, leaves the renderer healthy. */
  readonly perform: (renderer: RendererProcess, queueMs: number) => Promise<Value>
}

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

type Ticket = {
  readonly sourceKey: string
  readonly queuedAtMs: number
  /** Runs one attempt and settles the waiter, unless the renderer died (then it throws RendererDied). */
  readonly attempt: (renderer: RendererProcess, queueMs: number) => Promise<void>
  readonly reject: (error: unknown) => void
  readonly signal: AbortSignal
  /** True when nobody waits any more. */
  isSettled: boolean
  attempts: number
}

export function createJobDispatcher(options: DispatcherOptions): JobDispatcher {
  const { config, slots, refusedSources, log, onEvent } = options
  const queue: Ticket[] = []
  const running = new Set<Ticket>()
  let isClosing = false
  let whenEmpty: (() => void) | undefined

  const admit = (ticket: Ticket): void => {
    if (isClosing) throw new AppError('shutting_down')
    if (refusedSources.isRefused(ticket.sourceKey, Date.now())) throw new AppError('render_refused')
    queue.push(ticket)
    dispatch()
    if (queue.length <= config.queueLength) return
    leaveQueue(ticket)
    throw new AppError('overloaded', { details: { queueLength: config.queueLength } })
  }
  const leaveQueue = (ticket: Ticket): void => {
    const index = queue.indexOf(ticket)
    if (index !== -1) queue.splice(index, 1)
    notifyEmpty()
  }
  const dispatch = (): void => {
    while (queue.length > 0) {
      const renderer = slots.take()
      const ticket = renderer && queue.shift()
      if (!renderer || !ticket) return
      running.add(ticket)
      void runTicket(ticket, renderer)
    }
  }
  const runTicket = async (ticket: Ticket, renderer: RendererProcess): Promise<void> => {
    const guard = guardRun(ticket, renderer, config.deadlineMs, onEvent)
    try {
      await ticket.attempt(renderer, performance.now() - ticket.queuedAtMs)
    } catch (error) {
      if (error instanceof RendererDied) afterDeath(ticket, guard.killedFor())
      else ticket.reject(error)
    } finally {
      guard.end()
      running.delete(ticket)
      slots.release(renderer)
      dispatch()
      notifyEmpty()
    }
  }
  const afterDeath = (ticket: Ticket, killedFor: KillReason | undefined): void => {
    if (killedFor === 'deadline')
      return ticket.reject(new AppError('render_too_slow', { details: { deadlineMs: config.deadlineMs } }))
    if (killedFor === 'abandoned' || ticket.isSettled) return
    ticket.attempts++
    log('warn', 'render_crashed', { sourceKey: ticket.sourceKey, attempt: ticket.attempts })
    if (ticket.attempts < executorLimits.attemptsPerJob) return void queue.unshift(ticket)
    refusedSources.refuse(ticket.sourceKey, Date.now())
    onEvent('source_refused')
    ticket.reject(new AppError('render_refused'))
  }
  const notifyEmpty = (): void => {
    if (queue.length === 0 && running.size === 0) whenEmpty?.()
  }

  return {
    submit: (job, signal) => submitJob(job, signal, { admit, leaveQueue, queueLimitMs: config.deadlineMs }),
    dispatch,
    counts: () => ({ running: running.size, queued: queue.length }),
    async drain(signal) {
      isClosing = true
      const empty = new Promise<void>((resolve) => (whenEmpty = resolve))
      notifyEmpty()
      await Promise.race([empty, aborted(signal)])
      for (const ticket of [...queue.splice(0), ...running]) ticket.reject(new AppError('shutting_down'))
    },
  }
}

type Admission = {
  readonly admit: (ticket: Ticket) => void
  readonly leaveQueue: (ticket: Ticket) => void
  readonly queueLimitMs: number
}

/** Makes a job a ticket, and frees its waiter when it is done, when the signal fires, or when it has queued too long. */
function submitJob<Value>(
  job: Job<Value>,
  signal: AbortSignal,
  { admit, leaveQueue, queueLimitMs }: Admission,
): Promise<Value> {
  return new Promise<Value>((resolve, reject) => {
    signal.throwIfAborted()
    const settle = (act: () => void): void => {
      if (ticket.isSettled) return
      ticket.isSettled = true
      clearTimeout(queueTimer)
      signal.removeEventListener('abort', onAbort)
      act()
    }
    const ticket: Ticket = {
      sourceKey: job.sourceKey,
      queuedAtMs: performance.now(),
      signal,
      isSettled: false,
      attempts: 0,
      async attempt(renderer, queueMs) {
        clearTimeout(queueTimer)
        const value = await job.perform(renderer, queueMs)
        settle(() => resolve(value))
      },
      reject: (error) => settle(() => reject(error instanceof Error ? error : toAppError(error))),
    }
    const leave = (error: unknown): void => {
      leaveQueue(ticket)
      ticket.reject(error)
    }
    const onAbort = (): void => leave(signal.reason)
    const queueTimer = setTimeout(() => leave(new AppError('overloaded', { details: { queueLimitMs } })), queueLimitMs)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      admit(ticket)
    } catch (error) {
      ticket.reject(error)
    }
  })
}

type KillReason = 'deadline' | 'abandoned'

/**
 * Kills the renderer of a job that passes its deadline, or that still runs some time after its waiter has left. A short
 * render is let finish: killing costs the start of a new renderer, which is more than most renders take.
 */
function guardRun(
  ticket: Ticket,
  renderer: RendererProcess,
  deadlineMs: number,
  onEvent: (event: RendererEvent) => void,
) {
  let reason: KillReason | undefined
  const kill = (why: KillReason): void => {
    reason ??= why
    onEvent(why === 'deadline' ? 'deadline_killed' : 'abandoned_killed')
    renderer.kill()
  }
  const deadline = setTimeout(() => kill('deadline'), deadlineMs)
  let grace: NodeJS.Timeout | undefined
  const onAbort = (): void => void (grace = setTimeout(() => kill('abandoned'), executorLimits.abandonedGraceMs))
  ticket.signal.addEventListener('abort', onAbort, { once: true })
  return {
    killedFor: () => reason,
    end(): void {
      clearTimeout(deadline)
      clearTimeout(grace)
      ticket.signal.removeEventListener('abort', onAbort)
    },
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
