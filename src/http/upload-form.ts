import type { IncomingHttpHeaders } from 'node:http'
import { Readable } from 'node:stream'
import { Busboy } from '@fastify/busboy'
import { AppError } from '../errors.ts'

/** What comes before the file is a few conditions and a signature. */
const limits = { fieldNameSize: 100, fieldSize: 4096, fields: 20, files: 1, parts: 21, headerPairs: 20 }

/** What came before the file, the file (named `file`) chunk by chunk, and a signal that aborts when the form breaks off. */
export type TakeFile<T> = (
  fields: ReadonlyMap<string, string>,
  file: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
  /** What the form says of it. */
  told: { readonly filename: string; readonly contentType: string },
) => Promise<T>

/**
 * Reads a multipart/form-data body as it streams. Throws `bad_request` for what is no such form, when it breaks off, and when
 * there is no file in it.
 */
export async function readUploadForm<T>(
  headers: IncomingHttpHeaders,
  body: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
  take: TakeFile<T>,
): Promise<T> {
  const parser = openParser(headers)
  const source = Readable.from(body, { objectMode: false })
  const broken = new AbortController()
  const ended = AbortSignal.any([signal, broken.signal])
  const breakOff = (cause: unknown) =>
    broken.abort(cause instanceof AppError ? cause : noForm('The form breaks off or cannot be read.', cause))
  const whole = Promise.withResolvers<undefined>()
  // Awaited only by who reads the file to its end.
  whole.promise.catch(() => undefined)
  ended.addEventListener('abort', () => whole.reject(ended.reason as Error), { once: true })
  const reading = new Promise<T>((resolve, reject) => {
    const fields = new Map<string, string>()
    let taken: Promise<T> | undefined
    ended.addEventListener('abort', () => reject(ended.reason as Error), { once: true })
    parser.on('field', (name, value, isNameCut, isValueCut) => {
      if (taken) breakOff(noForm(`Fields come before the file; ${JSON.stringify(name)} comes after it.`))
      else if (fields.has(name) || isNameCut || isValueCut) breakOff(noForm('A field comes twice, or is too long.'))
      else fields.set(name, value)
    })
    parser.on('filesLimit', () => breakOff(noForm('Expected one file, got several; send each in a form of its own.')))
    parser.on('file', (name, file, filename: string | undefined, _encoding, contentType) => {
      // The parser tells the file of its end, too, and that before anybody may be reading it.
      file.on('error', breakOff)
      if (name !== 'file') {
        breakOff(noForm(`Expected a file in the field "file", got one in ${JSON.stringify(name)}.`))
        return void file.resume()
      }
      // A reader that stops has a reason of its own, which a destroyed file would drown.
      taken = take(fields, untilWhole(file.iterator({ destroyOnReturn: false }), whole.promise), ended, {
        filename: filename ?? 'image',
        contentType,
      })
      // What was left unread stands before the end of the form.
      taken.then(() => file.resume(), breakOff)
    })
    parser.on('finish', () => {
      whole.resolve(undefined)
      if (taken) taken.then(resolve, reject)
      else breakOff(noForm('Expected a file in the field "file".'))
    })
  })
  parser.on('error', breakOff)
  source.on('error', breakOff)
  source.pipe(parser)
  // Their listeners stay: they may have something to complain of when nobody waits for them any more.
  return reading.finally(() => {
    source.unpipe(parser)
    source.destroy()
  })
}

/** The file ends with its form: what comes behind it may still spoil it, and must not find it stored. */
async function* untilWhole(chunks: AsyncIterable<Buffer>, whole: Promise<undefined>): AsyncGenerator<Uint8Array> {
  yield* chunks
  await whole
}

function openParser(headers: IncomingHttpHeaders) {
  const type = headers['content-type'] ?? ''
  if (!type.startsWith('multipart/form-data')) throw noForm(`Expected multipart/form-data, got ${type || 'no type'}.`)
  try {
    return new Busboy({ headers: { ...headers, 'content-type': type }, limits, isPartAFile })
  } catch (cause) {
    throw noForm('The form cannot be read.', cause)
  }
}

/** A script's Blob of text has a file name, too, and is a field like any other. */
function isPartAFile(name: string | undefined, contentType = '', filename?: string): boolean {
  return name === 'file' || (filename !== undefined && !/^(text\/plain|application\/json)\b/i.test(contentType))
}

function noForm(detail: string, cause?: unknown): AppError {
  return new AppError('bad_request', { detail, cause })
}
