import { createHash } from 'node:crypto'
import type { UploadRecord } from '../db/records.ts'
import { AppError } from '../errors.ts'
import { confirmUpload } from './confirm-upload.ts'
import { createUpload, freeKey, type CreateAsked, type CreatedBy } from './presign-upload.ts'
import { tooLarge } from './targets/durable-file.ts'
import { chunksUntilAborted } from './targets/target-failure.ts'
import type { UploadDeps } from './upload-deps.ts'

/**
 * Begins an upload whose bytes this server takes in itself; with a key that was used before, the upload that it made. Throws `in_progress`
 * while the bytes of that one still come. One whose bytes never came makes room for another try, which is what keys are for.
 */
export async function beginOnce(
  asked: CreateAsked,
  by: CreatedBy,
  deps: UploadDeps,
): Promise<{ readonly upload: UploadRecord; readonly repeated: boolean }> {
  const begun = await createUpload(asked, by, deps)
  if (!begun.repeated) return begun
  if (begun.upload.state === 'pending') {
    throw new AppError('in_progress', {
      detail: 'The bytes of the first request with this Idempotency-Key still come.',
    })
  }
  if (!hasNoBytes(begun.upload)) return begun
  await freeKey(begun.upload, by, deps)
  return beginOnce(asked, by, deps)
}

/** Whoever sent them left in the middle, their source was out, or the process was killed. */
function hasNoBytes({ state, reason }: UploadRecord): boolean {
  return state === 'expired' || (state === 'rejected' && reason?.code === 'not_uploaded')
}

/**
 * What became of an upload, for who sends the same file again: it is read to its end, hashed, and kept nowhere. Throws
 * `idempotency_mismatch` for another file, `too_large` while it streams, and what the upload was rejected for.
 */
export async function repeatUpload(
  upload: UploadRecord,
  file: { readonly bytes: AsyncIterable<Uint8Array>; readonly maxBytes: number },
  deps: UploadDeps,
  signal: AbortSignal,
): Promise<UploadRecord> {
  const hash = createHash('sha256')
  let byteLength = 0
  for await (const chunk of chunksUntilAborted(file.bytes, signal)) {
    byteLength += chunk.length
    if (byteLength > file.maxBytes) throw tooLarge(file.maxBytes)
    hash.update(chunk)
  }
  if (hash.digest('hex') !== upload.sha256) {
    throw new AppError('idempotency_mismatch', { detail: 'Send the same file as before, or another Idempotency-Key.' })
  }
  return confirmUpload(upload, deps, signal)
}
