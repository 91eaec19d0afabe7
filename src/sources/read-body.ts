import type { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { AppError } from '../errors.ts'
import { fetchFailure } from './fetch-failure.ts'

export type BodyFacts = {
  /** Bound for the bytes as they come and for what they decode to. */
  readonly maxBytes: number
  /** Longest silence between two pieces. */
  readonly idleTimeoutMs: number
  /** Content-Encoding; some servers compress although they were asked not to. */
  readonly encoding: string | undefined
  /** Content-Length, of the bytes as they come. */
  readonly announcedBytes: number | undefined
}

const decoders: Readonly<Record<string, () => Transform>> = {
  gzip: () => createGunzip(),
  'x-gzip': () => createGunzip(),
  deflate: () => createInflate(),
  br: () => createBrotliDecompress(),
}

/**
 * The whole body, decoded, counted while it comes: no more than a piece beyond the limit is ever held.
 * Throws `source_too_large`, `source_stalled`, `source_truncated`, `source_failed`; the stream is destroyed in any case.
 */
export async function readBody(body: Readable, facts: BodyFacts, signal: AbortSignal): Promise<Buffer> {
  const { maxBytes, announcedBytes } = facts
  const idle = setTimeout(() => body.destroy(new AppError('source_stalled')), facts.idleTimeoutMs)
  const chunks: Buffer[] = []
  let wireBytes = 0
  let byteLength = 0
  async function* countWire(source: AsyncIterable<Buffer>) {
    for await (const chunk of source) {
      idle.refresh()
      wireBytes += chunk.length
      if (wireBytes > maxBytes) throw tooLarge(maxBytes)
      yield chunk
    }
  }
  async function collect(source: AsyncIterable<Buffer>) {
    for await (const chunk of source) {
      byteLength += chunk.length
      if (byteLength > maxBytes) throw tooLarge(maxBytes)
      chunks.push(chunk)
    }
  }
  try {
    if (announcedBytes !== undefined && announcedBytes > maxBytes) throw tooLarge(maxBytes, announcedBytes)
    const decoder = decoderOf(facts.encoding)
    if (decoder) await pipeline(body, countWire, decoder, collect, { signal })
    else await pipeline(body, countWire, collect, { signal })
    if (announcedBytes !== undefined && wireBytes !== announcedBytes) throw new AppError('source_truncated')
    return Buffer.concat(chunks, byteLength)
  } catch (error) {
    throw fetchFailure(error, 'body', signal)
  } finally {
    clearTimeout(idle)
    body.on('error', () => {}).destroy()
  }
}

function decoderOf(encoding: string | undefined): Transform | undefined {
  const name = encoding?.trim().toLowerCase() ?? ''
  if (name === '' || name === 'identity') return undefined
  const create = Object.hasOwn(decoders, name) ? decoders[name] : undefined
  // Several on top of each other multiply: no honest server does that to a picture.
  if (!create)
    throw new AppError('source_failed', { details: { reason: 'content-encoding', encoding: name.slice(0, 60) } })
  return create()
}

function tooLarge(limitBytes: number, byteLength?: number): AppError {
  const size = byteLength === undefined ? 'is larger than allowed' : `has ${byteLength} bytes`
  return new AppError('source_too_large', {
    detail: `The original ${size}; at most ${limitBytes} are accepted.`,
    details: { limitBytes, ...(byteLength === undefined ? {} : { byteLength }) },
  })
}
