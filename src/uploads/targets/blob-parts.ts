import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../../errors.ts'
import { assertBlobKey, blobFile } from './blob-key.ts'
import { keepSum } from './blob-sums.ts'
import { linkDurably, receiveFile, renameDurably, syncFolder, type ReceivedFile } from './durable-file.ts'
import { statBlob, undefinedWhenAbsent } from './list-blobs.ts'
import { errorCodeOf } from './target-failure.ts'
import type { TemporaryFiles } from './temporary-files.ts'

type OpenUpload = { readonly key: string; readonly startedAtMs: number }

export interface BlobParts {
  start(key: string): Promise<string>
  /** Takes a part that was received; a later one of the same number replaces it. Throws `wrong_state` when the upload is over. */
  keep(
    asked: { readonly key: string; readonly multipartId: string; readonly number: number },
    part: ReceivedFile,
  ): Promise<void>
  complete(
    asked: { readonly key: string; readonly multipartId: string; readonly expectedParts: number },
    signal: AbortSignal,
  ): Promise<boolean>
  abort(asked: { readonly key: string; readonly multipartId: string }): Promise<void>
  listOpen(): Promise<readonly { key: string; multipartId: string; startedAtMs: number }[]>
}

const recordName = 'upload.json'
const idPattern = /^[0-9a-f]{32}$/

/** Uploads in parts: a folder for each, with what it is for in `upload.json` and the parts by their numbers. */
export function createBlobParts(folder: string, temporary: TemporaryFiles, now: () => number): BlobParts {
  const folderOf = (multipartId: string) => join(temporary.partsFolder, multipartId)

  const openUpload = async (multipartId: string): Promise<OpenUpload | undefined> => {
    if (!idPattern.test(multipartId)) return undefined
    const text = await readFile(join(folderOf(multipartId), recordName), 'utf8').catch(undefinedWhenAbsent)
    return text === undefined ? undefined : (JSON.parse(text) as OpenUpload)
  }

  /** In one step, so that nothing ever sees half of it. */
  const removeUpload = async (multipartId: string) => {
    const going = await temporary.next()
    await rename(folderOf(multipartId), going).catch(undefinedWhenAbsent)
    await rm(going, { recursive: true, force: true })
  }

  const haveParts = async (multipartId: string, expectedParts: number) => {
    const names = new Set(await readdir(folderOf(multipartId)))
    return numbersTo(expectedParts).every((number) => names.has(String(number)))
  }

  return {
    async start(key) {
      assertBlobKey(key)
      const multipartId = randomBytes(16).toString('hex')
      const coming = await temporary.next()
      await mkdir(coming)
      const record: OpenUpload = { key, startedAtMs: now() }
      await writeFile(join(coming, recordName), JSON.stringify(record), { flush: true })
      await syncFolder(coming)
      await renameDurably(coming, folderOf(multipartId))
      return multipartId
    },
    async keep({ key, multipartId, number }, part) {
      const upload = await openUpload(multipartId)
      try {
        if (upload?.key !== key) throw uploadIsOver()
        await rename(part.file, join(folderOf(multipartId), String(number)))
        await syncFolder(folderOf(multipartId))
      } catch (error) {
        throw errorCodeOf(error) === 'ENOENT' ? uploadIsOver() : error
      } finally {
        await rm(part.file, { force: true })
      }
    },
    async complete({ key, multipartId, expectedParts }, signal) {
      const isThere = async () => (await statBlob(folder, key)) !== undefined
      const upload = await openUpload(multipartId)
      if (upload?.key !== key) return isThere()
      try {
        if (!(await haveParts(multipartId, expectedParts))) return false
        const files = numbersTo(expectedParts).map((number) => join(folderOf(multipartId), String(number)))
        const bounds = { maxBytes: Number.POSITIVE_INFINITY, signal }
        const whole = await receiveFile(await temporary.next(), concatenated(files), bounds)
        const { file } = blobFile(folder, key)
        if (await linkDurably(whole.file, file)) await keepSum(file, whole.sha256)
      } catch (error) {
        // Another one that completes at the same time has taken the parts away.
        if (errorCodeOf(error) === 'ENOENT') return isThere()
        throw error
      }
      await removeUpload(multipartId)
      return true
    },
    async abort({ key, multipartId }) {
      const upload = await openUpload(multipartId)
      if (upload?.key === key) await removeUpload(multipartId)
    },
    async listOpen() {
      const names = (await readdir(temporary.partsFolder).catch(undefinedWhenAbsent)) ?? []
      const open: { key: string; multipartId: string; startedAtMs: number }[] = []
      for (const multipartId of names) {
        const upload = await openUpload(multipartId)
        if (upload) open.push({ multipartId, ...upload })
      }
      return open
    },
  }
}

async function* concatenated(files: readonly string[]): AsyncGenerator<Uint8Array, void> {
  for (const file of files) yield* createReadStream(file, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>
}

function numbersTo(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at + 1)
}

function uploadIsOver(): AppError {
  return new AppError('wrong_state', {
    detail: 'The upload takes no more parts: it was completed, given up, or never was.',
  })
}
