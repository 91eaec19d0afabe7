import { Readable } from 'node:stream'
import type { Principal } from '../auth/authenticator.ts'
import type { UploadRecord } from '../db/records.ts'
import { AppError } from '../errors.ts'
import { sniffFormat } from '../transform/executor/sniff-format.ts'
import { confirmUpload } from './confirm-upload.ts'
import { intendedImage } from './intended-image.ts'
import { createdBy } from './presign-upload.ts'
import { fillUpload, type Filled } from './receive-upload.ts'
import { beginOnce } from './repeat-upload.ts'
import type { UploadDeps } from './upload-deps.ts'
import type { ImportIntent } from './upload-intent.ts'
import { assertIntent, type UploadRules } from './upload-policy.ts'

/**
 * Gets the bytes behind a URL by the one guarded way to the network; few at once, so they are held for as long as `use` takes and not
 * longer. Throws `source_*`, `not_found`, `overloaded`.
 */
export type FetchOriginal = <Used>(
  url: string,
  maxBytes: number,
  use: (bytes: Buffer) => Promise<Used>,
  signal: AbortSignal,
) => Promise<Used>

// Until the bytes say it.
const unknownType = 'application/octet-stream'

/**
 * A picture from the web becomes an image of the caller's, with the quota held back before anything is fetched. The type is what the bytes
 * are, whatever the server says.
 */
export async function importUpload(
  intent: ImportIntent,
  asked: { readonly principal: Principal; readonly idempotencyKey: string | undefined },
  fetchOriginal: FetchOriginal,
  deps: UploadDeps,
  signal: AbortSignal,
): Promise<UploadRecord> {
  const { principal, idempotencyKey } = asked
  const { url, ...fields } = intent
  const image = await intendedImage(fields, principal, deps)
  const { rules } = image
  const filename = fields.filename ?? nameOf(url)
  const { upload, repeated } = await beginOnce(
    { image, filename, sha256: undefined, way: 'import', byteLength: undefined, contentType: unknownType },
    createdBy(principal, idempotencyKey, intent),
    deps,
  )
  if (repeated) return confirmUpload(upload, deps, signal)
  const write = (bytes: Buffer) => writeImported(upload, { bytes, rules }, deps, signal)
  return fillUpload(upload, () => fetchOriginal(url, rules.maxBytes, write, signal), deps, signal)
}

async function writeImported(
  { id, stagingKey }: UploadRecord,
  { bytes, rules }: { readonly bytes: Buffer; readonly rules: UploadRules },
  deps: UploadDeps,
  signal: AbortSignal,
): Promise<Filled> {
  const contentType = typeOf(bytes)
  if (contentType === undefined) throw new AppError('not_an_image')
  assertIntent(rules, { contentType, byteLength: bytes.length })
  const upload = await deps.stores.uploads.move(id, ['pending'], 'pending', { contentType, fact: { contentType } })
  if (!upload) throw new AppError('not_found', { detail: 'The upload was taken back.' })
  const bounds = { maxBytes: rules.maxBytes, contentType }
  const { sha256 } = await deps.target.writeStream(stagingKey, Readable.from([bytes]), bounds, signal)
  return { upload, sha256 }
}

function typeOf(bytes: Buffer): string | undefined {
  const sniffed = sniffFormat(bytes)
  if (sniffed === 'svg') return 'image/svg+xml'
  // The brands tell AVIF from HEIC; the job looks closer.
  if (sniffed === 'heif') return /avi[fs]/.test(bytes.toString('latin1', 8, 40)) ? 'image/avif' : 'image/heic'
  return sniffed && `image/${sniffed}`
}

function nameOf(url: string): string {
  const last = new URL(url).pathname.split('/').at(-1) ?? ''
  // eslint-disable-next-line no-control-regex -- that is the point
  const name = last.replace(/%[0-9a-f]{2}/gi, '-').replace(/[\u0000-\u001f\u007f/\\]+/g, '-')
  return name === '' ? 'image' : name.slice(0, 255)
}
