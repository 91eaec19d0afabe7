import { createHash } from 'node:crypto'
import { link, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AppError } from '../../errors.ts'
import { chunksUntilAborted, errorCodeOf } from './target-failure.ts'

export type ReceivedFile = { readonly file: string; readonly byteLength: number; readonly sha256: string }

/**
 * Streams into a new file and has the disk hold it, with one chunk in memory. Throws `too_large` while it streams; after
 * any failure nothing is left.
 */
export async function receiveFile(
  file: string,
  chunks: AsyncIterable<Uint8Array>,
  { maxBytes, signal }: { readonly maxBytes: number; readonly signal: AbortSignal },
): Promise<ReceivedFile> {
  const handle = await open(file, 'wx', 0o600)
  const hash = createHash('sha256')
  let byteLength = 0
  try {
    for await (const chunk of chunksUntilAborted(chunks, signal)) {
      byteLength += chunk.length
      if (byteLength > maxBytes) throw tooLarge(maxBytes)
      hash.update(chunk)
      await handle.writeFile(chunk)
    }
    await handle.sync()
    await handle.close()
  } catch (error) {
    await handle.close().catch(() => undefined)
    await rm(file, { force: true })
    throw error
  }
  return { file, byteLength, sha256: hash.digest('hex') }
}

export function tooLarge(maxBytes: number): AppError {
  return new AppError('too_large', { detail: `Expected at most ${maxBytes} bytes.`, details: { limitBytes: maxBytes } })
}

/** Gives a file its name, which nothing has yet: false when something has. The file itself is gone from its old place. */
export async function linkDurably(from: string, to: string): Promise<boolean> {
  await mkdir(dirname(to), { recursive: true })
  try {
    await link(from, to)
  } catch (error) {
    if (errorCodeOf(error) !== 'EEXIST') throw error
    // The winner may not have had the time to make its name last.
    await syncUpwards(to)
    return false
  } finally {
    await rm(from, { force: true })
  }
  await syncUpwards(to)
  return true
}

/** Gives a file its name, in place of whatever has it. */
export async function renameDurably(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true })
  await rename(from, to)
  await syncUpwards(to)
}

/** The folder, and the one above, in which the folder may be new. A folder that has not changed costs nothing. */
async function syncUpwards(file: string): Promise<void> {
  await syncFolder(dirname(file))
  await syncFolder(dirname(dirname(file)))
}

export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
