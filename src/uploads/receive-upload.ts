import type { Principal } from '../auth/authenticator.ts'
import type { UploadRecord } from '../db/records.ts'
import { AppError, toAppError } from '../errors.ts'
import { confirmUpload, isVerdict } from './confirm-upload.ts'
import { dropStaging, rejectUpload } from './end-upload.ts'
import { intendedImage } from './intended-image.ts'
import { createUpload } from './presign-upload.ts'
import type { UploadDeps } from './upload-deps.ts'
import type { DirectFields } from './upload-intent.ts'
import { assertIntent, normalType } from './upload-policy.ts'

export type ReceivedFile = {
  readonly filename: string
  readonly contentType: string
  readonly bytes: AsyncIterable<Uint8Array>
}

/**
 * An upload whose bytes come through this server: the same record, checks and job as any other. The quota holds back the most that
 * may come; what did come is settled by the job. Throws as `presignUpload` and `confirmUpload`, and `too_large` while it streams.
 */
export async function receiveUpload(
  file: ReceivedFile,
  asked: { readonly fields: DirectFields; readonly principal: Principal; readonly way: 'direct' | 'import' },
  deps: UploadDeps,
  signal: AbortSignal,
): Promise<UploadRecord> {
  const { fields, principal, way } = asked
  const image = await intendedImage(fields, principal, deps)
  const { rules } = image
  const contentType = normalType(file.contentType)
  assertIntent(rules, { contentType, byteLength: undefined })
  const filename = fields.filename ?? plainName(file.filename)
  const { upload } = await createUpload(
    { image, filename, sha256: fields.sha256, way, byteLength: undefined, contentType },
    { principal },
    deps,
  )
  try {
    const bounds = { maxBytes: rules.maxBytes, contentType }
    const written = await deps.target.writeStream(upload.stagingKey, file.bytes, bounds, signal)
    assertChecksum(fields.sha256, written.sha256)
  } catch (thrown) {
    // Whoever left in the middle, or sent too much, leaves nothing: this upload has no second chance.
    const error = toAppError(thrown)
    await rejectUpload(
      upload,
      ['pending'],
      isVerdict(error.code) ? error : new AppError('not_uploaded', { cause: thrown }),
      deps,
    )
    throw thrown
  }
  try {
    return await confirmUpload(upload, deps, signal)
  } catch (error) {
    if (signal.aborted) await dropStaging(upload, deps)
    throw error
  }
}

function assertChecksum(declared: string | undefined, found: string): void {
  if (declared === undefined || declared === found) return
  throw new AppError('checksum_mismatch', { detail: `Declared as ${declared}; the bytes have ${found}.` })
}

/** What a form calls its file, without what is no part of a name. */
function plainName(name: string): string {
  // eslint-disable-next-line no-control-regex -- that is the point
  const plain = (name.split(/[/\\]/).at(-1) ?? '').replace(/[\u0000-\u001f\u007f]/g, '').slice(0, 255)
  return plain === '' ? 'image' : plain
}
