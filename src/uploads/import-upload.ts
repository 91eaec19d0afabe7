import { Readable } from 'node:stream'
import type { Principal } from '../auth/authenticator.ts'
import type { UploadRecord } from '../db/records.ts'
import { AppError } from '../errors.ts'
import { sniffFormat } from '../transform/executor/sniff-format.ts'
import { intendedImage } from './intended-image.ts'
import { receiveUpload } from './receive-upload.ts'
import type { UploadDeps } from './upload-deps.ts'
import type { ImportIntent } from './upload-intent.ts'

/** Gets the bytes behind a URL by the one guarded way to the network. Throws `source_*`, `not_found`. */
export type FetchOriginal = (url: string, maxBytes: number, signal: AbortSignal) => Promise<Buffer>

/** A picture from the web becomes an image of the caller's. The type is what the bytes are, whatever the server says. */
export async function importUpload(
  intent: ImportIntent,
  principal: Principal,
  fetchOriginal: FetchOriginal,
  deps: UploadDeps,
  signal: AbortSignal,
): Promise<UploadRecord> {
  const { url, ...fields } = intent
  const { rules } = await intendedImage(fields, principal, deps)
  const bytes = await fetchOriginal(url, rules.maxBytes, signal)
  const contentType = typeOf(bytes)
  if (contentType === undefined) throw new AppError('not_an_image')
  const file = { filename: nameOf(url), contentType, bytes: Readable.from([bytes]) }
  return receiveUpload(file, { fields, principal, way: 'import' }, deps, signal)
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
