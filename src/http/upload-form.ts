import type { IncomingHttpHeaders } from 'node:http'
import { Readable } from 'node:stream'
import { Busboy } from '@fastify/busboy'
import { AppError } from '../errors.ts'

/** What comes before the file is a few conditions and a signature. */
const limits = { fieldNameSize: 100, fieldSize: 4096, fields: 20, files: 1, parts: 21, headerPairs: 20 }

/**
 * Reads a multipart/form-data body as it streams: `take` gets the fields that came before the file, and the file (named `file`)
 * chunk by chunk. Throws `bad_request` for what is no such form, and when there is no file in it.
 */
export function readUploadForm<T>(
  headers: IncomingHttpHeaders,
  body: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
  take: (
    fields: ReadonlyMap<string, string>,
    file: AsyncIterable<Uint8Array>,
    told: { readonly filename: string; readonly contentType: string },
  ) => Promise<T>,
): Promise<T> {
  const parser = openParser(headers)
  const source = Readable.from(body, { objectMode: false })
  const reading = new Promise<T>((resolve, reject) => {
    const fields = new Map<string, string>()
    let taken: Promise<T> | undefined
    parser.on('field', (name, value, isNameCut, isValueCut) => {
      if (fields.has(name) || isNameCut || isValueCut) reject(noForm(`The field "${name}" comes twice or is too long.`))
      else fields.set(name, value)
    })
    parser.on('file', (_name, file, filename: string | undefined, _encoding, contentType) => {
      taken = take(fields, file, { filename: filename ?? 'image', contentType })
      taken.catch((error: unknown) => reject(error as Error))
    })
    parser.on('finish', () => {
      if (taken) taken.then(resolve, reject)
      else reject(noForm('Expected a file in the field "file".'))
    })
    parser.on('error', (cause) => reject(noForm('The form breaks off or cannot be read.', cause)))
    source.on('error', reject)
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
    source.pipe(parser)
  })
  return reading.finally(() => {
    source.unpipe(parser)
    source.on('error', () => undefined)
    parser.on('error', () => undefined)
    source.destroy()
  })
}

function openParser(headers: IncomingHttpHeaders) {
  const type = headers['content-type'] ?? ''
  if (!type.startsWith('multipart/form-data')) throw noForm(`Expected multipart/form-data, got ${type || 'no type'}.`)
  try {
    return new Busboy({ headers: { ...headers, 'content-type': type }, limits, isPartAFile: (name) => name === 'file' })
  } catch (cause) {
    throw noForm('The form cannot be read.', cause)
  }
}

function noForm(detail: string, cause?: unknown): AppError {
  return new AppError('bad_request', { detail, cause })
}
