import { randomBytes } from 'node:crypto'
import { lstat, mkdir, readdir, rename, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { cacheKey } from './cache-tier.ts'
import type { DiskIndexRow } from './disk-index.ts'
import { errorCodeOf } from './outage-log.ts'

/** Changes the files below one cache directory: `<x>/<yz>/<key>` and, while being written, `tmp/<instance>-<n>`. */
export interface EntryFiles {
  /** Writes beside, calls `beforeRename`, then puts the file in its place in one step. Leaves nothing behind when it throws. */
  write(key: string, bytes: Buffer, beforeRename: () => Promise<void>): Promise<void>
  /** Fine with a file that is not there. */
  remove(key: string): Promise<void>
  /** Removes what other processes began to write; one that is alive loses at most the entries it was writing. */
  removeLeftovers(): Promise<void>
  /** Every file in small batches; a stat each, nothing opened. */
  scan(): AsyncGenerator<readonly DiskIndexRow[]>
}

/** Disks give space in blocks: a million 1 kB files take 4 GB, and that is what has to be bounded. */
const blockBytes = 4096

/** Files per scan batch: some milliseconds of work between two looks at anything else. */
const scanBatch = 64

/** What a file of this length takes on disk. */
export function diskBytes(fileBytes: number): number {
  return Math.ceil(fileBytes / blockBytes) * blockBytes
}

/** 16 x 256 folders: 250 files each at a million entries, and no more than 17 MB of folders. CRC-32 spreads any kind of key evenly. */
function shardOf(key: string): string {
  const hex = crc32(key).toString(16).padStart(8, '0')
  return join(hex.slice(0, 1), hex.slice(1, 3))
}

export function entryPath(directory: string, key: string): string {
  return join(directory, shardOf(key), key)
}

export function createEntryFiles(options: {
  readonly directory: string
  /** Called when the file of a key has been replaced or removed. */
  readonly onChanged: (key: string) => void
}): EntryFiles {
  const { directory, onChanged } = options
  const temporary = join(directory, 'tmp')
  const pathOf = (key: string) => entryPath(directory, key)
  /** Tells our files in `tmp` from those that a killed process left. */
  const instance = randomBytes(6).toString('hex')
  let written = 0

  return {
    async write(key, bytes, beforeRename) {
      written += 1
      const path = join(temporary, `${instance}-${written}`)
      try {
        await ensuringFolder(temporary, () => writeFile(path, bytes, { mode: 0o600 }))
        await beforeRename()
        // No fsync: after a power cut an entry may be short or empty, which the checksum finds.
        await ensuringFolder(join(directory, shardOf(key)), () => rename(path, pathOf(key)))
        onChanged(key)
      } catch (error) {
        await unlink(path).catch(() => undefined)
        throw error
      }
    },

    async remove(key) {
      await unlink(pathOf(key)).catch(unlessAbsent)
      onChanged(key)
    },

    async removeLeftovers() {
      for (const name of await namesIn(temporary, /-/))
        if (!name.startsWith(instance)) await unlink(join(temporary, name)).catch(unlessAbsent)
    },

    scan: () => scanShards(directory),
  }
}

/** Folders are made when first missed, which also survives somebody emptying the cache directory by hand. */
async function ensuringFolder(folder: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (errorCodeOf(error) !== 'ENOENT') throw error
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await work()
  }
}

async function* scanShards(directory: string): AsyncGenerator<readonly DiskIndexRow[]> {
  for (const outer of await namesIn(directory, /^[0-9a-f]$/)) {
    for (const inner of await namesIn(join(directory, outer), /^[0-9a-f]{2}$/)) {
      const folder = join(directory, outer, inner)
      const keys = await namesIn(folder, cacheKey)
      for (let from = 0; from < keys.length; from += scanBatch)
        yield await statRows(folder, keys.slice(from, from + scanBatch))
    }
  }
}

/** One at a time, so that a scan takes one I/O thread and leaves the others to hits. */
async function statRows(folder: string, keys: readonly string[]): Promise<readonly DiskIndexRow[]> {
  const rows: DiskIndexRow[] = []
  for (const key of keys) {
    const file = await lstat(join(folder, key)).catch(unlessAbsent)
    if (file) rows.push({ key, bytes: diskBytes(file.size), lastUsedUs: Math.round(file.mtimeMs * 1000) })
  }
  return rows
}

async function namesIn(folder: string, wanted: RegExp): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).filter((name) => wanted.test(name))
  } catch (error) {
    if (errorCodeOf(error) === 'ENOENT') return []
    throw error
  }
}

function unlessAbsent(error: unknown): undefined {
  if (errorCodeOf(error) !== 'ENOENT') throw error
}
