import type { DiskIndex } from './disk-index.ts'
import type { DiskUsage } from './disk-usage.ts'
import type { EntryFiles } from './entry-files.ts'
import type { KeyLocks } from './key-locks.ts'

export interface DiskEviction {
  /** Calls `take` in the very moment that `bytes` more fit; resolves false, without calling it, when no room can be made. */
  takeRoom(bytes: number, take: () => void): Promise<boolean>
  /** Keeps some space free ahead of the writers, in the background, so that they seldom wait. */
  keepAhead(): Promise<void>
  /** Gives one batch back whatever the totals say: the disk is fuller than our own share. */
  freeSome(): Promise<void>
  count(): number
}

/** Some milliseconds of unlinking, and half a millisecond of SQL; hits get their turn between batches. */
const evictionBatch = 32

/** Above this share of `maxBytes` the background starts to evict, down to the low one: few writers wait, and few entries go too early. */
const highWater = 0.97
const lowWater = 0.95

/** Throws out the least recently used entries. Files go first and rows second, so that rows stay a superset of files. */
export function createDiskEviction(deps: {
  readonly index: DiskIndex
  readonly files: EntryFiles
  readonly locks: KeyLocks
  readonly maxBytes: number
  readonly usage: DiskUsage
}): DiskEviction {
  const { index, files, locks, maxBytes, usage } = deps
  let evicted = 0
  let underWay: Promise<number> | undefined
  let ahead: Promise<void> | undefined

  /** Everybody who needs room shares one batch at a time. Answers how many entries went. */
  const evictBatch = () => {
    underWay ??= evictOldest().finally(() => (underWay = undefined))
    return underWay
  }

  const evictOldest = async () => {
    // Rows in use by a writer are fresh, or about to be.
    const rows = index.oldest(evictionBatch).filter((row) => !locks.isHeld(row.key))
    return locks.hold(
      rows.map((row) => row.key),
      async () => {
        const gone: string[] = []
        const stuck: typeof rows = []
        for (const row of rows)
          await files.remove(row.key).then(
            () => gone.push(row.key),
            () => stuck.push(row),
          )
        // A file that cannot be removed still takes its space; as the newest row it does not stop the others from going.
        const later = stuck.map((row) => ({ ...row, kind: 'put' as const, lastUsedUs: usage.nowUs() }))
        usage.forget(gone)
        index.write([...gone.map((key) => ({ kind: 'delete' as const, key })), ...later])
        evicted += gone.length
        return gone.length
      },
    )
  }

  const evictDownTo = async (share: number) => {
    while (index.totals().bytes > maxBytes * share) if ((await evictBatch()) === 0) return
  }

  return {
    async takeRoom(bytes, take) {
      while (index.totals().bytes + bytes > maxBytes) if ((await evictBatch()) === 0) return false
      take()
      return true
    },
    async keepAhead() {
      if (index.totals().bytes <= maxBytes * highWater) return
      ahead ??= evictDownTo(lowWater).finally(() => (ahead = undefined))
      await ahead
    },
    async freeSome() {
      await evictBatch()
    },
    count: () => evicted,
  }
}
