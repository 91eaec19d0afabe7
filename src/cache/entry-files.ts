import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, mkdir, open, readdir, rename, unlink, writeFile, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { cacheKey } from './cache-tier.ts'
import type { DiskIndexRow } from './disk-index.ts'
import { errorCodeOf } from './outage-log.ts'

/** The files below one cache directory: `<x>/<yz>/<key>` and, while being written, `tmp/<instance>-<n>`. */
export interface EntryFiles {
  /** The whole file, undefined when there is none. What cannot be an entry of ours (a link, a folder, a giant) reads as empty. */
  read(key: string, signal: AbortSignal): Promise<Buffer | undefined>
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

const readFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** What a file of this length takes on disk. */
export function diskBytes(fileBytes: number): number {
  return Math.ceil(fileBytes / blockBytes) * blockBytes
}

/** 16 x 256 folders: 250 files each at a million entries, and no more than 17 MB of folders. CRC-32 spreads any kind of key evenly. */
function shardOf(key: string): string {
  const hex = crc32(key).toString(16).padStart(8, '0')
  return join(hex.slice(0, 1), hex.slice(1, 3))
}

export function createEntryFiles(options: { readonly directory: string; readonly maxFileBytes: number }): EntryFiles {
  const { directory, maxFileBytes } = options
  const temporary = join(directory, 'tmp')
  const pathOf = (key: string) => join(directory, shardOf(key), key)
  /** Tells our files in `tmp` from those that a killed process left. */
  const instance = randomBytes(6).toString('hex')
  let written = 0

  return {
    async read(key, signal) {
      const handle = await openEntry(pathOf(key))
      if (handle === 'absent') return undefined
      if (handle === 'link') return Buffer.alloc(0)
      try {
        const file = await handle.stat()
        signal.throwIfAborted()
        return file.isFile() && file.size <= maxFileBytes ? await readWhole(handle, file.size) : Buffer.alloc(0)
      } finally {
        await handle.close()
      }
    },

    async write(key, bytes, beforeRename) {
      written += 1
      const path = join(temporary, `${instance}-${written}`)
      try {
        await ensuringFolder(temporary, () => writeFile(path, bytes, { mode: 0o600 }))
        await beforeRename()
        // No fsync: after a power cut an entry may be short or empty, which the checksum finds.
        await ensuringFolder(join(directory, shardOf(key)), () => rename(path, pathOf(key)))
      } catch (error) {
        await unlink(path).catch(() => undefined)
        throw error
      }
    },

    async remove(key) {
      await unlink(pathOf(key)).catch(unlessAbsent)
    },

    async removeLeftovers() {
      for (const name of await namesIn(temporary, /-/))
        if (!name.startsWith(instance)) await unlink(join(temporary, name)).catch(unlessAbsent)
    },

    scan: () => scanShards(directory),
  }
}

async function openEntry(path: string): Promise<FileHandle | 'absent' | 'link'> {
  try {
    return await open(path, readFlags)
  } catch (error) {
    const code = errorCodeOf(error)
    if (code === 'ENOENT') return 'absent'
    if (code === 'ELOOP') return 'link'
    throw error
  }
}

/** One read in practice; a file that shrank meanwhile comes out short and is refused by its checksum. */
async function readWhole(handle: FileHandle, fileBytes: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(fileBytes)
  let filled = 0
  while (filled < fileBytes) {
    const { bytesRead } = await handle.read(bytes, filled, fileBytes - filled, filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return bytes.subarray(0, filled)
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
