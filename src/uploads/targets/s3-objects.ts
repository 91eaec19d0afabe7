import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import type { CompletedPart } from '@aws-sdk/client-s3'
import { AppError } from '../../errors.ts'
import { tooLarge } from './durable-file.ts'
import { isAnswer, type CallBucket } from './s3-bucket.ts'
import { abortS3Parts, causeOf, completeWith, startS3Parts } from './s3-parts.ts'
import { chunksUntilAborted, targetFailure } from './target-failure.ts'

/** Two of them are in memory while a stream is written. The smallest that S3 takes is 5 MB; 10 000 of them are 80 GB. */
const partBytes = 8 << 20
/** What is left of a broken stream is removed also for those who have gone. */
const abortTimeoutMs = 10_000

export async function readS3Object(
  call: CallBucket,
  key: string,
  { maxBytes, length }: { readonly maxBytes: number; readonly length?: number },
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  if (length === 0) return Buffer.alloc(0)
  const range = length === undefined ? {} : { Range: `bytes=0-${length - 1}` }
  try {
    return await call(signal, async ({ sdk, client, at }, within) => {
      const { Body, ContentLength } = await client.send(new sdk.GetObjectCommand({ ...at(key), ...range }), within)
      return readBytes(Body as Readable, { maxBytes, length, announced: ContentLength }, within.abortSignal)
    })
  } catch (error) {
    if (isAnswer(causeOf(error), 'NoSuchKey', 'NotFound')) return undefined
    // An empty object has no first bytes.
    if (isAnswer(causeOf(error), 'InvalidRange')) return Buffer.alloc(0)
    throw error
  }
}

export async function hashS3Object(call: CallBucket, key: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    return await call(signal, async ({ sdk, client, at }, within) => {
      const { Body } = await client.send(new sdk.GetObjectCommand(at(key)), within)
      const body = Body as Readable
      const hash = createHash('sha256')
      try {
        for await (const chunk of chunksUntilAborted(body, within.abortSignal)) hash.update(chunk)
      } finally {
        body.destroy()
      }
      return hash.digest('hex')
    })
  } catch (error) {
    if (isAnswer(causeOf(error), 'NoSuchKey', 'NotFound')) return undefined
    throw error
  }
}

async function readBytes(
  body: Readable,
  bounds: { readonly maxBytes: number; readonly length: number | undefined; readonly announced: number | undefined },
  signal: AbortSignal,
): Promise<Buffer> {
  const { maxBytes, length = Number.POSITIVE_INFINITY, announced = 0 } = bounds
  const chunks: Uint8Array[] = []
  let byteLength = 0
  try {
    if (Math.min(announced, length) > maxBytes) throw tooLarge(maxBytes)
    for await (const chunk of chunksUntilAborted(body, signal)) {
      chunks.push(chunk)
      byteLength += chunk.length
      // A store without ranges sends the whole.
      if (byteLength >= length) break
      if (byteLength > maxBytes) throw tooLarge(maxBytes)
    }
  } finally {
    body.destroy()
  }
  if (byteLength < Math.min(announced, length)) {
    throw new AppError('target_failed', { details: { reason: 'the object broke off', byteLength, announced } })
  }
  return Buffer.concat(chunks).subarray(0, Math.min(length, byteLength))
}

/** Every store checks Content-MD5; SHA-256 only some. */
export async function writeS3Object(
  call: CallBucket,
  object: { readonly key: string; readonly bytes: Buffer; readonly contentType: string },
  signal: AbortSignal,
): Promise<void> {
  const { key, bytes, contentType } = object
  const content = { Body: bytes, ContentLength: bytes.length, ContentMD5: md5Of(bytes) }
  await call(signal, ({ sdk, client, at }, within) =>
    client.send(new sdk.PutObjectCommand({ ...at(key), ...content, ContentType: contentType }), within),
  )
}

/** In one piece when it is small, in parts when it is not. */
export async function writeS3Stream(
  call: CallBucket,
  object: { readonly key: string; readonly contentType: string; readonly maxBytes: number },
  bytes: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<{ byteLength: number; sha256: string }> {
  const { key, contentType } = object
  const hash = createHash('sha256')
  const parts: CompletedPart[] = []
  let byteLength = 0
  let multipartId: string | undefined
  try {
    for await (const piece of piecesOf(bytes, object.maxBytes, signal)) {
      hash.update(piece.bytes)
      byteLength += piece.bytes.length
      if (piece.isLast && multipartId === undefined) {
        await writeS3Object(call, { key, bytes: piece.bytes, contentType }, signal)
      } else {
        multipartId ??= await startS3Parts(call, { key, contentType }, signal)
        parts.push(await sendPart(call, { key, multipartId, number: parts.length + 1, bytes: piece.bytes }, signal))
      }
    }
    if (multipartId !== undefined) await completeWith(call, { key, multipartId }, parts, signal)
  } catch (error) {
    const upload = multipartId === undefined ? undefined : { key, multipartId }
    if (upload) await abortS3Parts(call, upload, AbortSignal.timeout(abortTimeoutMs)).catch(() => undefined)
    throw targetFailure(error, signal)
  }
  return { byteLength, sha256: hash.digest('hex') }
}

async function sendPart(
  call: CallBucket,
  part: { readonly key: string; readonly multipartId: string; readonly number: number; readonly bytes: Buffer },
  signal: AbortSignal,
): Promise<CompletedPart> {
  const { key, multipartId, number, bytes } = part
  const content = { Body: bytes, ContentLength: bytes.length, ContentMD5: md5Of(bytes) }
  const { ETag } = await call(signal, ({ sdk, client, at }, within) =>
    client.send(
      new sdk.UploadPartCommand({ ...at(key), ...content, UploadId: multipartId, PartNumber: number }),
      within,
    ),
  )
  return { PartNumber: number, ...(ETag === undefined ? {} : { ETag }) }
}

/** Pieces of `partBytes`; the last one is smaller, or as large, or, of nothing, empty. */
async function* piecesOf(
  bytes: AsyncIterable<Uint8Array>,
  maxBytes: number,
  signal: AbortSignal,
): AsyncGenerator<{ readonly bytes: Buffer; readonly isLast: boolean }, void> {
  let gathered: Uint8Array[] = []
  let [gatheredBytes, total] = [0, 0]
  for await (const chunk of chunksUntilAborted(bytes, signal)) {
    total += chunk.length
    if (total > maxBytes) throw tooLarge(maxBytes)
    for (let rest = chunk; rest.length > 0;) {
      if (gatheredBytes === partBytes) {
        yield { bytes: Buffer.concat(gathered), isLast: false }
        gathered = []
        gatheredBytes = 0
      }
      const taken = rest.subarray(0, partBytes - gatheredBytes)
      gathered.push(taken)
      gatheredBytes += taken.length
      rest = rest.subarray(taken.length)
    }
  }
  yield { bytes: Buffer.concat(gathered), isLast: true }
}

function md5Of(bytes: Buffer): string {
  return createHash('md5').update(bytes).digest('base64')
}
