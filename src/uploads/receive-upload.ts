import type { Principal } from '../auth/authenticator.ts'
import type { UploadRecord } from '../db/records.ts'
import { AppError, toAppError } from '../errors.ts'
import { contentTypeOfName } from '../transform/image/formats.ts'
import { assertSum, confirmUpload, isVerdict } from './confirm-upload.ts'
import { dropStaging, rejectUpload } from './end-upload.ts'
import { intendedImage } from './intended-image.ts'
import { createdBy } from './presign-upload.ts'
import { beginOnce, repeatUpload } from './repeat-upload.ts'
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
 * may come; what did come is settled by the job. Throws as `presignUpload` and `confirmUpload`, and `too_large` while it streams; with a
 * repeated key `in_progress`, `idempotency_mismatch`.
 */
export async function receiveUpload(
  file: ReceivedFile,
  asked: {
    readonly fields: DirectFields
    readonly principal: Principal
    readonly idempotencyKey: string | undefined
  },
  deps: UploadDeps,
  signal: AbortSignal,
): Promise<UploadRecord> {
  const { fields, principal, idempotencyKey } = asked
  const image = await intendedImage(fields, principal, deps)
  const { rules } = image
  const contentType = typeOf(file)
  assertIntent(rules, { contentType, byteLength: undefined })
  const filename = fields.filename ?? plainName(file.filename)
  // What is known of the file before it is read; the rest is its SHA-256.
  const by = createdBy(principal, idempotencyKey, { form: fields, file: { filename: file.filename, contentType } })
  const { upload, repeated } = await beginOnce(
    { image, filename, sha256: fields.sha256, way: 'direct', byteLength: undefined, contentType },
    by,
    deps,
  )
  if (repeated) return repeatUpload(upload, { bytes: file.bytes, maxBytes: rules.maxBytes }, deps, signal)
  const write = async () => {
    const bounds = { maxBytes: rules.maxBytes, contentType }
    const { sha256 } = await deps.target.writeStream(upload.stagingKey, file.bytes, bounds, signal)
    return { upload: by.idempotency ? await noteSum(upload, sha256, deps) : upload, sha256 }
  }
  return fillUpload(upload, write, deps, signal)
}

/** curl, for one, knows few extensions and says of a WebP that it is some bytes. What it really is gets asked of the bytes in any case. */
function typeOf({ filename, contentType }: ReceivedFile): string {
  const said = normalType(contentType)
  return said === 'application/octet-stream' ? (contentTypeOfName(filename) ?? said) : said
}

/** By which the same file is known when it is sent again. */
async function noteSum({ id }: UploadRecord, sha256: string, { stores }: UploadDeps): Promise<UploadRecord> {
  const noted = await stores.uploads.move(id, ['pending'], 'pending', { sha256, fact: { sha256 } })
  if (!noted) throw new AppError('not_found', { detail: 'The upload was taken back.' })
  return noted
}

export type Filled = { readonly upload: UploadRecord; readonly sha256: string }

/** Has the bytes written that this server takes in itself, and confirms them. Whatever `write` throws ends the upload. */
export async function fillUpload(
  upload: UploadRecord,
  write: () => Promise<Filled>,
  deps: UploadDeps,
  signal: AbortSignal,
): Promise<UploadRecord> {
  let filled: Filled
  try {
    filled = await write()
    assertSum(upload.sha256, filled.sha256)
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
    return await confirmUpload(filled.upload, deps, signal)
  } catch (error) {
    if (signal.aborted) await dropStaging(upload, deps)
    throw error
  }
}

/** What a form calls its file, without what is no part of a name. */
function plainName(name: string): string {
  // eslint-disable-next-line no-control-regex -- that is the point
  const plain = (name.split(/[/\\]/).at(-1) ?? '').replace(/[\u0000-\u001f\u007f]/g, '').slice(0, 255)
  return plain === '' ? 'image' : plain
}
