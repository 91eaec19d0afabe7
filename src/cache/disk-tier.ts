import { largestEntryShare, cacheKey, type CacheLog, type CacheTier, type MeasuredTier } from './cache-tier.ts'
import type { CachedResult } from './cached-result.ts'
import { createDiskEviction } from './disk-eviction.ts'
import type { DiskIndex, DiskIndexTotals } from './disk-index.ts'
import { createDiskMaintenance } from './disk-maintenance.ts'
import { createDiskUsage } from './disk-usage.ts'
import { createDiskWrites } from './disk-writes.ts'
import { createEntryFiles, diskBytes, entryPath } from './entry-files.ts'
import { createEntryReader } from './entry-reader.ts'
import { createKeyLocks } from './key-locks.ts'
import { createOutageLog } from './outage-log.ts'
import { createSlots } from '../lib/slots.ts'
import { settledWithin, withinDeadline, type Restart } from './within-deadline.ts'

export type DiskTierOptions = {
  readonly directory: string
  /** What the entries may take on disk, counted in blocks; the index comes on top (about 100 bytes an entry). */
  readonly maxBytes: number
  /** Belongs to the tier from here on; `close()` closes it. */
  readonly index: DiskIndex
  readonly log: CacheLog
  /** A slower read is a miss: rendering takes about this long. */
  readonly readTimeoutMs?: number
  readonly writeTimeoutMs?: number
  /** Bodies waiting to be written; what comes on top is not kept. */
  readonly maxPendingBytes?: number
  /** Files kept open for the next hit. */
  readonly maxOpenFiles?: number
}

/** A slow disk must not cost more than the render it saves. */
const defaultReadTimeoutMs = 1000
const defaultWriteTimeoutMs = 10_000
/** For large entries, their wait for a turn included. */
const largeReadTimeoutMs = 10_000
/** About a second of a slow disk's writing. */
const defaultMaxPendingBytes = 64 * 1024 * 1024
/** A quarter of the files a process may open where the limit is lowest (1024). */
const defaultMaxOpenFiles = 256
/** Files read at once; each holds a whole entry in memory. */
const readsAtOnce = 64
/** More than the server accepts connections by default; a backstop only. */
const readsWaiting = 4096
/** Room for the header and checksum around the largest body. */
const largestEnvelopeBytes = 128 * 1024

/**
 * Keeps results as files, one per key, over restarts. A file is served only when it is whole, unaltered and about this very key;
 * everything else is removed and counted. May lose entries (no fsync), never lies.
 */
export function createDiskTier(options: DiskTierOptions): CacheTier & MeasuredTier {
  const { directory, maxBytes, index, log } = options
  const readTimeoutMs = options.readTimeoutMs ?? defaultReadTimeoutMs
  const maxEntryBytes = Math.floor(maxBytes * largestEntryShare)
  const reader = createEntryReader({
    pathOf: (key) => entryPath(directory, key),
    maxFileBytes: maxEntryBytes + largestEnvelopeBytes,
    maxOpen: options.maxOpenFiles ?? defaultMaxOpenFiles,
  })
  const files = createEntryFiles({ directory, onChanged: (key) => reader.forget(key) })
  const locks = createKeyLocks()
  const reads = createOutageLog({ log, tier: 'disk', doing: 'read' })
  const outage = createOutageLog({ log, tier: 'disk', doing: 'write' })
  const usage = createDiskUsage({ index })
  const eviction = createDiskEviction({ index, files, locks, maxBytes, usage })
  const writes = createDiskWrites({
    ...{ index, files, locks, usage, eviction, outage, maxEntryBytes },
    maxPendingBytes: options.maxPendingBytes ?? defaultMaxPendingBytes,
    writeTimeoutMs: options.writeTimeoutMs ?? defaultWriteTimeoutMs,
  })
  const maintenance = createDiskMaintenance({ index, files, reader, usage, eviction, log })
  const slots = createSlots({ active: readsAtOnce, waiting: readsWaiting })
  const state = { corrupt: 0, closed: undefined as Promise<void> | undefined }

  const dropCorrupt = (key: string) => {
    state.corrupt += 1
    // Only the first is logged: a dying disk or a new format would write a line per entry.
    if (state.corrupt === 1) log.warn('cache_entry_corrupt', { tier: 'disk', key })
    void writes.remove(key)
    return undefined
  }

  const readEntry = async (key: string, release: () => void, restart: Restart) => {
    // It has a line of its own: small ones must not wait behind it, and waiting there is not the disk's fault.
    const onLarge = () => {
      release()
      restart(largeReadTimeoutMs)
    }
    try {
      const read = await reader.read(key, onLarge)
      if (read === 'absent' || read === 'busy') return undefined
      if (read === 'corrupt') return dropCorrupt(key)
      usage.touch(key, diskBytes(read.fileBytes))
      return read.result
    } finally {
      release()
    }
  }

  const readInTurn = async (key: string, signal: AbortSignal, restart: Restart) => {
    const release = await slots.take(signal)
    return release && readEntry(key, release, restart)
  }

  /** Without a line there is nobody to tell when time is up: a read that has begun cannot be called back. */
  const readInTime = (key: string, signal: AbortSignal) => {
    const release = slots.takeNow()
    if (release) return settledWithin(readTimeoutMs, (restart) => readEntry(key, release, restart))
    return withinDeadline(readTimeoutMs, signal, (inner, restart) => readInTurn(key, inner, restart))
  }

  return {
    name: 'disk',
    async get(key, signal): Promise<CachedResult | undefined> {
      signal.throwIfAborted()
      if (!cacheKey.test(key) || state.closed) return undefined
      const onItsWay = writes.pending(key)
      if (onItsWay) return onItsWay
      try {
        const result = await readInTime(key, signal)
        reads.succeeded()
        signal.throwIfAborted()
        return result
      } catch (error) {
        if (signal.aborted) throw error
        reads.failed(error)
        return undefined
      }
    },
    async set(key, result) {
      if (!cacheKey.test(key) || state.closed) return
      await writes.keep(key, result)
      maintenance.roomTaken()
    },
    async delete(key) {
      if (cacheKey.test(key) && !state.closed) await writes.remove(key)
    },
    close() {
      state.closed ??= maintenance.stop(() => writes.drain())
      return state.closed
    },
    stats: () => ({
      ...sizes(index),
      maxBytes,
      evicted: eviction.count(),
      dropped: writes.dropped(),
      corrupt: state.corrupt,
      readErrors: reads.count(),
      writeErrors: outage.count(),
    }),
  }
}

/** Zeros when the index cannot be asked: metrics must not fail with it. */
function sizes(index: DiskIndex): Pick<DiskIndexTotals, 'entries' | 'bytes'> {
  try {
    const { entries, bytes } = index.totals()
    return { entries, bytes }
  } catch {
    return { entries: 0, bytes: 0 }
  }
}
