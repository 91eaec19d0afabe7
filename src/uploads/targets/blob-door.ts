import { rm } from 'node:fs/promises'
import { AppError } from '../../errors.ts'
import { blobFile, isBlobKey } from './blob-key.ts'
import type { BlobParts } from './blob-parts.ts'
import { keepSum } from './blob-sums.ts'
import { readPermission, type BlobPermission } from './blob-permission.ts'
import { linkDurably, receiveFile, type ReceivedFile } from './durable-file.ts'
import { statBlob } from './list-blobs.ts'
import { targetFailure } from './target-failure.ts'
import type { TemporaryFiles } from './temporary-files.ts'

/** Where the bytes of clients come into the disk target; `http/` holds it open. */
export interface BlobDoor {
  /**
   * What the client is allowed, before a byte of the body is read. Throws `signature_required`, `signature_invalid`,
   * `signature_expired`, `already_uploaded`.
   */
  admit(shown: {
    readonly method: 'PUT' | 'POST'
    readonly key: string
    readonly fields: ReadonlyMap<string, string>
  }): Promise<BlobPermission>
  /**
   * Takes the bytes and has the disk hold them, or leaves nothing. Throws `too_large` while they stream, `size_mismatch`,
   * `checksum_mismatch`, `already_uploaded`, `wrong_state` (a part of an upload that is over).
   */
  receive(
    permission: BlobPermission,
    bytes: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<{ readonly etag: string }>
}

export type BlobDoorDeps = {
  readonly folder: string
  readonly secret: string
  readonly now: () => number
  readonly temporary: TemporaryFiles
  readonly parts: BlobParts
}

export function createBlobDoor(deps: BlobDoorDeps): BlobDoor {
  const { folder, secret, now, temporary, parts } = deps
  return {
    async admit(shown) {
      const permission = readPermission(shown, secret, now())
      if (!isBlobKey(permission.key)) throw new AppError('signature_invalid')
      const isThere = permission.part === undefined && (await statBlob(folder, permission.key)) !== undefined
      if (isThere) throw alreadyUploaded()
      return permission
    },
    async receive(permission, bytes, signal) {
      const { key, part } = permission
      try {
        const bounds = { maxBytes: permission.byteLength, signal }
        const received = await receiveFile(await temporary.next(), bytes, bounds)
        await assertAsPermitted(received, permission)
        if (part) await parts.keep({ key, ...part }, received)
        else await keepWhole(received, blobFile(folder, key).file)
        return { etag: `"${received.sha256}"` }
      } catch (error) {
        throw targetFailure(error, signal)
      }
    },
  }
}

async function keepWhole(received: ReceivedFile, file: string): Promise<void> {
  if (!(await linkDurably(received.file, file))) throw alreadyUploaded()
  await keepSum(file, received.sha256)
}

function alreadyUploaded(): AppError {
  return new AppError('already_uploaded', {
    detail: 'Confirm the upload; for other bytes POST /v1/uploads begins a new one.',
  })
}

async function assertAsPermitted(received: ReceivedFile, permission: BlobPermission): Promise<void> {
  const fault = faultOf(received, permission)
  if (!fault) return
  await rm(received.file, { force: true })
  throw fault
}

function faultOf(received: ReceivedFile, permission: BlobPermission): AppError | undefined {
  if (permission.method === 'PUT' && received.byteLength !== permission.byteLength) {
    return new AppError('size_mismatch', {
      detail: `Expected ${permission.byteLength} bytes, got ${received.byteLength}.`,
    })
  }
  const isOther = permission.sha256 !== undefined && permission.sha256.toLowerCase() !== received.sha256
  return isOther
    ? new AppError('checksum_mismatch', {
        detail: `Declared as ${permission.sha256}; the bytes have ${received.sha256}.`,
      })
    : undefined
}
