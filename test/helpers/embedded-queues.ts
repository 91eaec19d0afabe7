import type { Stores } from '../../src/db/stores.ts'
import { createEmbeddedQueue, type JobTable } from '../../src/jobs/embedded-queue.ts'
import type { OpenTestQueues } from '../contract/job-queue.contract.ts'

const log = { warn: () => undefined }
const isOutage = (error: unknown) => error instanceof RangeError

/** Queues over the table of one database, each of which can be cut off from it as its process would be by death. */
export function embeddedQueues(openTestStores: () => Promise<Stores>): OpenTestQueues {
  return async () => {
    const stores = await openTestStores()
    return {
      openQueue: (settings = {}) => {
        const cable = { isCut: false }
        const queue = createEmbeddedQueue({
          table: cuttable(stores.jobs, cable),
          ...{ concurrency: 2, maxAttempts: 3, jobTimeoutMs: 5_000, leaseMs: 1_000, pollMs: 50, drainMs: 200, log },
          ...{ retryForMs: 1_000, isOutage },
          retryMs: { first: 20, longest: 100 },
          ...settings,
        })
        return { ...queue, crash: () => void (cable.isCut = true) }
      },
      close: () => stores.close(),
    }
  }
}

/** A table that no longer hears one of its queues: what a killed process does from there on. */
function cuttable(table: JobTable, cable: { readonly isCut: boolean }): JobTable {
  const unlessCut = <Asked extends unknown[], T>(work: (...asked: Asked) => Promise<T>, otherwise: T) =>
    ((...asked) => (cable.isCut ? Promise.resolve(otherwise) : work(...asked))) satisfies (
      ...asked: Asked
    ) => Promise<T>
  return {
    ...table,
    take: unlessCut(table.take, undefined),
    extend: unlessCut(table.extend, true),
    done: unlessCut(table.done, true),
    failed: unlessCut(table.failed, true),
    nextDueAtMs: unlessCut(table.nextDueAtMs, undefined),
  }
}
