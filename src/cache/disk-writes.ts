import type { CachedResult } from './cached-result.ts'
import type { DiskEviction } from './disk-eviction.ts'
import type { DiskIndex } from './disk-index.ts'
import type { DiskUsage } from './disk-usage.ts'
import { diskBytes, type EntryFiles } from './entry-files.ts'
import type { KeyLocks } from './key-locks.ts'
import { errorCodeOf, type OutageLog } from './outage-log.ts'
import { encodeResult } from './result-codec.ts'
import { createSlots } from '../lib/slots.ts'
import { withinDeadline } from './within-deadline.ts'

export interface DiskWrites {
  /** Resolves when the entry is in its place or given up; never rejects. */
  keep(key: string, result: CachedResult): Promise<void>
  remove(key: string): Promise<void>
  /** The result on its way to disk under this key. */
  pending(key: string): CachedResult | undefined
  dropped(): number
  /** Resolves when nothing is on its way. */
  drain(): Promise<void>
}

export type DiskWriteDeps = {
  readonly index: DiskIndex
  readonly files: EntryFiles
  readonly locks: KeyLocks
  readonly usage: DiskUsage
  readonly eviction: DiskEviction
  readonly outage: OutageLog
  readonly maxEntryBytes: number
  readonly maxPendingBytes: number
  readonly writeTimeoutMs: number
}

/** Of libuv's four I/O threads two stay free for hits. */
const writesAtOnce = 2

/** The disk or the quota has no space; evicting helps. */
const fullCodes = new Set(['ENOSPC', 'EDQUOT', 'SQLITE_FULL'])

/** The writing half of the disk tier: bounded, behind the answer, and silent towards the caller. */
export function createDiskWrites(deps: DiskWriteDeps): DiskWrites {
  const slots = createSlots({ active: writesAtOnce, waiting: Number.POSITIVE_INFINITY })
  const waiting = new Map<string, CachedResult>()
  const running = new Set<Promise<void>>()
  const counts = { dropped: 0, pendingBytes: 0 }
  const failed = (error: unknown) => deps.outage.failed(error)

  const track = (work: Promise<void>) => {
    running.add(work)
    void work.finally(() => running.delete(work))
    return work
  }

  const write = async (key: string, result: CachedResult) => {
    const release = await slots.take()
    try {
      if (await writeEntry(deps, key, result)) deps.outage.succeeded()
      else counts.dropped += 1
    } catch (error) {
      deps.outage.failed(error)
      await cleanUpAfter(deps, key, error)
    } finally {
      release?.()
    }
  }

  const keep = async (key: string, result: CachedResult) => {
    const bytes = result.body.length
    waiting.set(key, result)
    counts.pendingBytes += bytes
    await deps.locks.hold([key], () => write(key, result))
    counts.pendingBytes -= bytes
    if (waiting.get(key) === result) waiting.delete(key)
  }

  return {
    async keep(key, result) {
      const bytes = result.body.length
      if (bytes > deps.maxEntryBytes || counts.pendingBytes + bytes > deps.maxPendingBytes) {
        counts.dropped += 1
        return
      }
      // The work itself goes on after the deadline, holding its place, so that a hung disk cannot pile up work.
      await withinDeadline(deps.writeTimeoutMs, undefined, () => track(keep(key, result))).catch(failed)
    },
    async remove(key) {
      waiting.delete(key)
      await track(deps.locks.hold([key], () => removeEntry(deps, key)).catch(failed))
    },
    pending: (key) => waiting.get(key),
    dropped: () => counts.dropped,
    async drain() {
      while (running.size > 0) await Promise.all(running)
    },
  }
}

/** False when there was no room. The row is written before the file gets its name, so that no file is ever uncounted. */
async function writeEntry(deps: DiskWriteDeps, key: string, result: CachedResult): Promise<boolean> {
  const { index, files, usage, eviction } = deps
  const encoded = await encodeResult(key, result)
  const bytes = diskBytes(encoded.length)
  const row = () => index.write([{ kind: 'put', key, bytes, lastUsedUs: usage.nowUs() }])
  try {
    await files.write(key, encoded, async () => {
      if (!(await eviction.takeRoom(bytes, row))) throw new NoRoomError()
    })
    return true
  } catch (error) {
    if (error instanceof NoRoomError) return false
    throw error
  }
}

/** Unwinds a write for which eviction found nothing to throw out. */
class NoRoomError extends Error {}

async function removeEntry(deps: DiskWriteDeps, key: string): Promise<void> {
  await deps.files.remove(key)
  deps.usage.forget([key])
  deps.index.write([{ kind: 'delete', key }])
}

/** A row without its file, or an older file under the new row, must not stay; and a full disk gets some of its space back. */
async function cleanUpAfter(deps: DiskWriteDeps, key: string, error: unknown): Promise<void> {
  await removeEntry(deps, key).catch(() => undefined)
  if (fullCodes.has(errorCodeOf(error))) await deps.eviction.freeSome().catch(() => undefined)
}
