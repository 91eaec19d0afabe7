import { open, rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { createBlobDoor, type BlobDoor } from './blob-door.ts'
import { assertBlobKey, blobFile } from './blob-key.ts'
import { createBlobParts } from './blob-parts.ts'
import { dropSum, hashFile, readSum } from './blob-sums.ts'
import { signPermission, type BlobPermission } from './blob-permission.ts'
import { receiveFile, renameDurably, syncFolder, tooLarge } from './durable-file.ts'
import { listBlobs, statBlob, undefinedWhenAbsent } from './list-blobs.ts'
import { permissionHeaders } from './permission-headers.ts'
import { targetFailure, untilAborted } from './target-failure.ts'
import { createTemporaryFiles } from './temporary-files.ts'
import type { HeldObject, PutPermission, SignedRequest, UploadTarget } from './upload-target.ts'

export type DiskTargetOptions = {
  /** Belongs to the target alone. */
  readonly folder: string
  /** Scheme, host and port under which clients reach this server, without a slash at the end. */
  readonly publicOrigin: () => string
  readonly secret: string
  readonly now: () => number
}

/** A target that answers its signed requests itself, through the door. */
export type DiskTarget = UploadTarget & { readonly door: BlobDoor }

/** Where `http/` answers for the disk target: `/v1/blobs/<key>`. */
export const blobsPath = '/v1/blobs'

const pageSize = 1000

/** Uploads in a folder, with nothing else to install. */
export function createDiskTarget({ folder, publicOrigin, secret, now }: DiskTargetOptions): DiskTarget {
  const temporary = createTemporaryFiles(folder, now)
  const parts = createBlobParts(folder, temporary, now)
  const permissionFor = permissionMaker(now)
  const urlOf = (permission: BlobPermission) => {
    const query = new URLSearchParams(signPermission(secret, permission))
    return `${publicOrigin()}${blobsPath}/${permission.key}?${query.toString()}`
  }
  const replace = async (key: string, chunks: AsyncIterable<Uint8Array>, maxBytes: number, signal: AbortSignal) => {
    const { file } = blobFile(folder, key)
    const received = await receiveFile(await temporary.next(), chunks, { maxBytes, signal })
    await renameDurably(received.file, file)
    return received
  }

  return {
    name: 'disk',
    capabilities: { presignedPost: true, parts: true, checksums: true },
    door: createBlobDoor({ folder, secret, now, temporary, parts }),
    signPut(asked, signal) {
      return guarded(signal, () => ({
        method: 'PUT',
        url: urlOf(permissionFor('PUT', asked)),
        headers: permissionHeaders(asked),
      }))
    },
    signPost(asked, signal) {
      return guarded(signal, (): SignedRequest => {
        const permission = permissionFor('POST', asked)
        const fields = { key: permission.key, ...signPermission(secret, permission) }
        return { method: 'POST', url: `${publicOrigin()}${blobsPath}`, headers: {}, fields }
      })
    },
    startParts: ({ key }, signal) => guarded(signal, () => parts.start(key)),
    signParts({ key, multipartId, parts: wanted, expiresInSeconds }, signal) {
      return guarded(signal, () =>
        wanted.map(({ number, byteLength }) => {
          const asked = { key, byteLength, expiresInSeconds, contentType: undefined, sha256: undefined }
          const url = urlOf({ ...permissionFor('PUT', asked), part: { multipartId, number } })
          return { number, method: 'PUT' as const, url, headers: { 'content-length': String(byteLength) } }
        }),
      )
    },
    completeParts: (asked, signal) => explained(signal, () => parts.complete(asked, signal)),
    abortParts: (asked, signal) => guarded(signal, () => parts.abort(asked)),
    listOpenParts: (signal) => guarded(signal, () => parts.listOpen()),
    head: (key, signal) => guarded(signal, () => headBlob(folder, key)),
    hash: (key, signal) => explained(signal, () => hashFile(blobFile(folder, key).file, signal)),
    read: (key, options, signal) => guarded(signal, () => readBlob(blobFile(folder, key).file, options, signal)),
    async write(key, bytes, _contentType, signal) {
      await explained(signal, () => replace(key, Readable.from([bytes]), bytes.length, signal))
    },
    writeStream: (key, bytes, { maxBytes }, signal) =>
      explained(signal, async () => {
        const { byteLength, sha256 } = await replace(key, bytes, maxBytes, signal)
        return { byteLength, sha256 }
      }),
    delete: (key, signal) => guarded(signal, () => removeBlob(blobFile(folder, key))),
    list: (prefix, cursor, signal) => guarded(signal, () => listBlobs(folder, { prefix, cursor, pageSize })),
    close: () => Promise.resolve(),
  }
}

/** Ends when the signal does, also where the disk has stopped answering. */
function guarded<T>(signal: AbortSignal, work: () => T | Promise<T>): Promise<T> {
  return explained(signal, () => untilAborted(Promise.resolve(work()), signal))
}

/** Fails with an AppError. The work watches the signal itself, and cleans up before it ends. */
async function explained<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  try {
    signal.throwIfAborted()
    return await work()
  } catch (error) {
    throw targetFailure(error, signal)
  }
}

function permissionMaker(now: () => number) {
  return (
    method: BlobPermission['method'],
    asked: Omit<PutPermission, 'contentType'> & { readonly contentType: string | undefined },
  ): BlobPermission => {
    const { key, byteLength, contentType, sha256, expiresInSeconds } = asked
    assertBlobKey(key)
    const expiresAtSeconds = Math.ceil(now() / 1000) + expiresInSeconds
    return { method, key, byteLength, contentType, sha256, expiresAtSeconds, part: undefined }
  }
}

async function readBlob(
  file: string,
  { maxBytes, length }: { readonly maxBytes: number; readonly length?: number },
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  const handle = await open(file, 'r').catch(undefinedWhenAbsent)
  if (!handle) return undefined
  try {
    const { size } = await handle.stat()
    const wanted = Math.min(size, length ?? size)
    if (wanted > maxBytes) throw tooLarge(maxBytes)
    const bytes = Buffer.allocUnsafeSlow(wanted)
    for (let at = 0; at < wanted;) {
      signal.throwIfAborted()
      const { bytesRead } = await handle.read(bytes, at, Math.min(readBytes, wanted - at), at)
      if (bytesRead === 0) return bytes.subarray(0, at)
      at += bytesRead
    }
    return bytes
  } finally {
    await handle.close()
  }
}

/** At a time, so that nobody who has left is read for to the end. */
const readBytes = 4 << 20

async function headBlob(folder: string, key: string): Promise<HeldObject | undefined> {
  const found = await statBlob(folder, key)
  return found && { ...found, sha256: isStaged(key) ? await readSum(blobFile(folder, key).file) : undefined }
}

/** What is served was hashed and written by the server itself. */
function isStaged(key: string): boolean {
  return key.startsWith('staging/')
}

async function removeBlob({ folder, file }: { readonly folder: string; readonly file: string }): Promise<void> {
  await dropSum(file)
  await rm(file, { force: true })
  // A folder that is not there holds nothing either.
  await syncFolder(folder).catch(undefinedWhenAbsent)
}
