import { setImmediate as nextTurn } from 'node:timers/promises'
import type { CacheLog } from './cache-tier.ts'
import type { DiskEviction } from './disk-eviction.ts'
import type { DiskIndex } from './disk-index.ts'
import type { DiskUsage } from './disk-usage.ts'
import type { EntryFiles } from './entry-files.ts'
import type { EntryReader } from './entry-reader.ts'
import { errorCodeOf } from './outage-log.ts'

export interface DiskMaintenance {
  /** Told after each write; evicts ahead in the background when the share is nearly used up. */
  roomTaken(): void
  /** Ends the background work, drains the writers, notes the last order of use and closes the index. */
  stop(drainWrites: () => Promise<void>): Promise<void>
}

/** What a kill may lose of the order of use. */
const upkeepIntervalMs = 5000

/** A hung disk must not hold up the shutdown. */
const drainTimeoutMs = 5000

/** The disk tier's background work: leftovers, the scan after a lost index, flushes and eviction. Starts at once and blocks nothing. */
export function createDiskMaintenance(deps: {
  readonly index: DiskIndex
  readonly files: EntryFiles
  readonly reader: EntryReader
  readonly usage: DiskUsage
  readonly eviction: DiskEviction
  readonly log: CacheLog
}): DiskMaintenance {
  const { index, files, reader, usage, eviction, log } = deps
  const running = new Set<Promise<void>>()
  const state = { stopping: false, scanning: false }

  /** A failure here costs tidiness or order, never an answer. */
  const inBackground = (task: string, work: () => Promise<void>) => {
    const run = work()
      .catch((error: unknown) => {
        if (!state.stopping) log.warn('cache_upkeep_failed', { tier: 'disk', task, code: errorCodeOf(error) })
      })
      .finally(() => running.delete(run))
    running.add(run)
  }

  const scanFiles = async () => {
    if (state.scanning || index.totals().complete) return
    state.scanning = true
    let found = 0
    try {
      for await (const rows of files.scan()) {
        if (state.stopping) return
        index.write(rows.map((row) => ({ kind: 'found', ...row })))
        found += rows.length
        await nextTurn()
      }
      index.write([{ kind: 'complete' }])
      log.info('cache_index_rebuilt', { tier: 'disk', files: found })
    } finally {
      state.scanning = false
    }
  }

  const upkeep = () => {
    reader.closeOld()
    inBackground('flush', () => usage.flush())
    inBackground('scan', scanFiles)
    inBackground('evict', () => eviction.keepAhead())
  }

  const timer = setInterval(upkeep, upkeepIntervalMs).unref()
  inBackground('leftovers', () => files.removeLeftovers())
  upkeep()

  const finish = async (drainWrites: () => Promise<void>) => {
    await drainWrites()
    await Promise.all(running)
    await usage.flush()
  }

  return {
    roomTaken: () => {
      if (!state.stopping) inBackground('evict', () => eviction.keepAhead())
    },
    async stop(drainWrites) {
      state.stopping = true
      clearInterval(timer)
      const late = setTimeoutSignal(drainTimeoutMs)
      await Promise.race([finish(drainWrites).catch(() => undefined), late.passed])
      late.cancel()
      reader.close()
      try {
        index.close()
      } catch (error) {
        log.warn('cache_upkeep_failed', { tier: 'disk', task: 'close', code: errorCodeOf(error) })
      }
    },
  }
}

function setTimeoutSignal(timeoutMs: number): { readonly passed: Promise<void>; cancel(): void } {
  const { promise: passed, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, timeoutMs)
  return { passed, cancel: () => clearTimeout(timer) }
}
