import { AppError } from '../../errors.ts'
import { executorLimits } from './executor-limits.ts'
import type { Kill } from './guard-run.ts'
import type { Ticket } from './job-ticket.ts'
import type { RefusedSources } from './refused-sources.ts'
import type { RenderQueue } from './render-queue.ts'
import type { RendererEvent, RendererLog } from './renderer-slots.ts'

export type DeathDeps = {
  readonly config: { readonly deadlineMs: number; readonly memoryLimitMB: number }
  readonly queue: RenderQueue<Ticket>
  readonly refusedSources: RefusedSources
  readonly log: RendererLog
  readonly onEvent: (event: RendererEvent) => void
}

/** What becomes of a job whose renderer has ended under it: an answer, or one more try when nobody knows why. */
export function afterDeath(ticket: Ticket, kill: Kill | undefined, deps: DeathDeps): void {
  const { deadlineMs } = deps.config
  switch (kill?.why) {
    case 'deadline':
      return ticket.reject(new AppError('render_too_slow', { details: { deadlineMs } }))
    case 'unread':
      // A disk that hangs says nothing of the original.
      return ticket.reject(new AppError('source_timeout', { details: { deadlineMs } }))
    case 'memory':
      return refuseForMemory(ticket, kill.rssMB, deps)
    case 'abandoned':
      return
    case undefined:
      if (!ticket.isSettled()) tryAgain(ticket, deps)
  }
}

/** Not tried again: the same plan would take as much on any renderer. Cheaper ones for the same original may go on. */
function refuseForMemory(ticket: Ticket, rssMB: number, deps: DeathDeps): void {
  const limitMB = deps.config.memoryLimitMB
  const plan = JSON.stringify(ticket.plan() ?? 'none')
  deps.log('warn', 'render_above_memory_limit', { sourceKey: ticket.sourceKey, rssMB, limitMB, plan })
  const workMs = ticket.workMs()
  if (workMs === undefined) {
    refuseSource(ticket.sourceKey, deps)
  } else {
    // What waits for the same is refused when its turn comes.
    deps.refusedSources.refuse(ticket.sourceKey, Date.now(), workMs * executorLimits.refusedWorkShare)
    deps.onEvent('source_refused')
  }
  ticket.reject(new AppError('render_too_large', { details: { limitMB } }))
}

function tryAgain(ticket: Ticket, deps: DeathDeps): void {
  ticket.attempts++
  ticket.freshAfterMs = performance.now()
  deps.log('warn', 'render_crashed', { sourceKey: ticket.sourceKey, attempt: ticket.attempts })
  if (ticket.attempts < executorLimits.attemptsPerJob) {
    deps.queue.push(ticket)
    return ticket.limitWait()
  }
  refuseSource(ticket.sourceKey, deps)
  ticket.reject(new AppError('render_refused'))
}

/** Jobs of it that wait already would end the next renderers. */
function refuseSource(sourceKey: string, { queue, refusedSources, onEvent }: DeathDeps): void {
  refusedSources.refuse(sourceKey, Date.now())
  onEvent('source_refused')
  for (const waiting of queue.entries().filter((entry) => entry.sourceKey === sourceKey)) {
    queue.remove(waiting)
    waiting.reject(new AppError('render_refused'))
  }
}
