import { executorLimits } from './executor-limits.ts'
import type { Ticket } from './job-ticket.ts'
import type { RendererProcess } from './renderer-process.ts'
import type { RendererEvent } from './renderer-slots.ts'
import { watchMemory } from './watch-memory.ts'

/** Why a renderer was killed at work. `unread`: its deadline passed before it had the original. */
export type Kill = { readonly why: 'deadline' | 'unread' | 'abandoned' } | { readonly why: 'memory'; rssMB: number }

export type GuardOptions = {
  readonly deadlineMs: number
  readonly memoryLimitMB: number
  readonly onEvent: (event: RendererEvent) => void
}

const killEvents = {
  deadline: 'deadline_killed',
  unread: 'deadline_killed',
  abandoned: 'abandoned_killed',
  memory: 'memory_limit',
} as const satisfies Record<Kill['why'], RendererEvent>

/**
 * Kills the renderer of a job that passes its deadline or takes too much memory, or that still runs some time after its
 * waiter has left. A short render is let finish: killing costs the start of a new renderer, which is more than most renders take.
 */
export function guardRun(ticket: Ticket, renderer: RendererProcess, options: GuardOptions) {
  let kill: Kill | undefined
  const killFor = (reason: Kill): void => {
    if (kill) return
    kill = reason
    options.onEvent(killEvents[reason.why])
    renderer.kill()
  }
  const onDeadline = (): void => killFor({ why: renderer.isReading() ? 'unread' : 'deadline' })
  const deadline = setTimeout(onDeadline, options.deadlineMs)
  const unwatch = watchMemory(renderer.pid, options.memoryLimitMB, (rssMB) => killFor({ why: 'memory', rssMB }))
  let grace: NodeJS.Timeout | undefined
  const onAbort = (): void => void (grace = setTimeout(killFor, executorLimits.abandonedGraceMs, { why: 'abandoned' }))
  ticket.signal.addEventListener('abort', onAbort, { once: true })
  return {
    kill: () => kill,
    end(): void {
      clearTimeout(deadline)
      clearTimeout(grace)
      unwatch()
      ticket.signal.removeEventListener('abort', onAbort)
    },
  }
}
