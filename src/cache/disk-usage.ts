import { setImmediate as nextTurn } from 'node:timers/promises'
import type { DiskIndex, DiskIndexRow } from './disk-index.ts'

export interface DiskUsage {
  /** Strictly rising microseconds, so that the order of use has no ties within this process. */
  nowUs(): number
  /** Notes a hit; written later, with many others. */
  touch(key: string, bytes: number): void
  forget(keys: readonly string[]): void
  /** Writes what is noted, a slice per turn of the event loop. Throws what the index throws; the slice is lost then, as order may be. */
  flush(): Promise<void>
  /** How many hits are noted. */
  size(): number
}

/** Rows per turn: 60 us each at a million rows, so a slice holds up a hit by 4 ms at most. */
const flushSlice = 64

/** Beyond this many unwritten hits a flush is failing or late, and further order of use is not worth memory. */
const maxNoted = 100_000

/** Collects the order of use in memory, as a write per hit would make hits as dear as misses. */
export function createDiskUsage(options: { readonly index: DiskIndex }): DiskUsage {
  const noted = new Map<string, DiskIndexRow>()
  let lastUs = 0
  let underWay: Promise<void> | undefined

  const nowUs = () => {
    lastUs = Math.max(Date.now() * 1000, lastUs + 1)
    return lastUs
  }

  const writeNoted = async () => {
    while (noted.size > 0) {
      const slice = takeSlice(noted)
      options.index.write(slice.map((row) => ({ kind: 'put', ...row })))
      await nextTurn()
    }
  }

  return {
    nowUs,
    touch(key, bytes) {
      if (noted.size >= maxNoted && !noted.has(key)) return
      noted.set(key, { key, bytes, lastUsedUs: nowUs() })
    },
    forget(keys) {
      for (const key of keys) noted.delete(key)
    },
    flush() {
      underWay ??= writeNoted().finally(() => (underWay = undefined))
      return underWay
    },
    size: () => noted.size,
  }
}

function takeSlice(noted: Map<string, DiskIndexRow>): readonly DiskIndexRow[] {
  const slice: DiskIndexRow[] = []
  for (const row of noted.values()) {
    if (slice.length === flushSlice) break
    slice.push(row)
    noted.delete(row.key)
  }
  return slice
}
