import type { UploadRecord } from '../db/records.ts'
import { AppError } from '../errors.ts'
import type { BlobDoor } from './targets/blob-door.ts'
import type { UploadDeps } from './upload-deps.ts'

/**
 * The door of the disk target, open only while an upload waits for its bytes: a permission outlives what it was given for, and bytes
 * that belong to nothing are counted by no quota. Throws `already_uploaded`, `expired` besides.
 */
export function doorForUploads(door: BlobDoor, { stores, target, config }: UploadDeps): BlobDoor {
  const uploadOf = (key: string) => stores.uploads.find(key.replace(/^staging\//, ''))
  return {
    async admit(shown) {
      const permission = await door.admit(shown)
      assertWaits(await uploadOf(permission.key))
      return permission
    },
    async receive(permission, bytes, signal) {
      const received = await door.receive(permission, bytes, signal)
      const upload = await uploadOf(permission.key)
      // Confirmed already, by the sweeper: then these are its bytes.
      if (upload && ['pending', 'uploaded', 'processing'].includes(upload.state)) return received
      await target.delete(permission.key, AbortSignal.timeout(config.targetTimeoutMs))
      throw overError()
    },
  }
}

function assertWaits(upload: UploadRecord | undefined): void {
  if (upload?.state === 'pending') return
  const hasBytes = upload && ['uploaded', 'processing', 'ready', 'quarantined'].includes(upload.state)
  throw hasBytes ? new AppError('already_uploaded', { detail: 'The upload has its bytes.' }) : overError()
}

function overError(): AppError {
  return new AppError('expired', { detail: 'The upload is over; ask for another permission by POST /v1/uploads.' })
}
