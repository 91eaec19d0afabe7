import { createEmbeddedQueue, type EmbeddedQueueOptions, type JobTable } from './embedded-queue.ts'
import { isOutage } from './is-outage.ts'
import type { JobQueue } from './job-queue.ts'

const leaseMs = 30_000
const pollMs = 5_000
const retryMs = { first: 1_000, longest: 300_000 }

/** The queue of this installation: the table of its database. */
export function createJobQueue(options: {
  readonly table: JobTable
  readonly config: {
    readonly concurrency: number
    readonly maxAttempts: number
    readonly retryForMs: number
    readonly jobTimeoutMs: number
  }
  readonly drainMs: number
  readonly log: EmbeddedQueueOptions['log']
}): JobQueue {
  const { table, config, drainMs, log } = options
  const { concurrency, maxAttempts, retryForMs, jobTimeoutMs } = config
  return createEmbeddedQueue({
    ...{ table, drainMs, log, leaseMs, pollMs, retryMs, isOutage },
    ...{ concurrency, maxAttempts, retryForMs, jobTimeoutMs },
  })
}
