import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import sharp from 'sharp'
import { AppError } from '../../errors.ts'
import { executorLimits } from './executor-limits.ts'
import type { HeicAnswer } from './heic-worker.ts'
import { wrapTiff } from './wrap-tiff.ts'

type DecodedPixels = Exclude<HeicAnswer, { failure: string }>

/**
 * A HEIC as an uncompressed TIFF that libvips can read, upright (libheif applies `irot` and `imir`), colour profile kept.
 * The decoder runs in a thread of its own: its wasm heap goes away with the thread, and this process can still be told to
 * stop. Throws `undecodable` for a damaged file, `too_many_pixels` above `executorLimits.heicMaxPixels`.
 */
export async function decodeHeic(bytes: Buffer): Promise<Buffer> {
  // libheif paints what is missing grey and says nothing.
  if (isCutShort(bytes)) throw new AppError('undecodable', { detail: 'The HEIC ends before its image data does' })
  const { icc, hasAlpha, ...size } = await sharp(bytes).metadata()
  refuseTooManyPixels(size.width * size.height)
  const { width, height, pixels } = await decodeInThread(bytes)
  const channels = hasAlpha ? 4 : 3
  return wrapTiff({ pixels: hasAlpha ? pixels : dropAlpha(pixels), width, height, channels, profile: icc })
}

/** Boxes a picture cannot do without; what some phones append behind them is none of these. */
const neededBoxes: ReadonlySet<string> = new Set(['meta', 'mdat'])

/** Whether a needed top-level box reaches beyond the end of the file (ISO/IEC 14496-12, 4.2). */
function isCutShort(bytes: Buffer): boolean {
  let at = 0
  while (at + 8 <= bytes.length) {
    const size = boxSize(bytes, at)
    if (size < 8) return false
    if (at + size > bytes.length) return neededBoxes.has(bytes.toString('latin1', at + 4, at + 8))
    at += size
  }
  return false
}

/** 1 means that the size follows in 64 bits; 0, that the box ends where the file does. */
function boxSize(bytes: Buffer, at: number): number {
  const size = bytes.readUInt32BE(at)
  if (size !== 1) return size
  return at + 16 <= bytes.length ? Number(bytes.readBigUInt64BE(at + 8)) : Infinity
}

function refuseTooManyPixels(pixels: number): void {
  const limit = executorLimits.heicMaxPixels
  if (pixels <= limit) return
  throw new AppError('too_many_pixels', {
    detail: `The HEIC has ${String(pixels)} pixels; at most ${String(limit)} are decoded.`,
    details: { limit, got: pixels },
  })
}

async function decodeInThread(bytes: Buffer): Promise<DecodedPixels> {
  const self = import.meta.url
  const extension = self.slice(self.lastIndexOf('.'))
  const script = new URL(`./heic-worker${extension}`, self)
  const worker = new Worker(script, { workerData: new Uint8Array(bytes) })
  const ended = new AbortController()
  worker.once('exit', () => ended.abort())
  try {
    const [answer] = (await once(worker, 'message', { signal: ended.signal })) as [HeicAnswer]
    if ('failure' in answer) {
      throw new AppError('undecodable', { detail: 'The HEIC is damaged', cause: new Error(answer.failure) })
    }
    return answer
  } finally {
    await worker.terminate()
  }
}

function dropAlpha(rgba: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((rgba.length / 4) * 3)
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    rgb[to] = rgba[from] ?? 0
    rgb[to + 1] = rgba[from + 1] ?? 0
    rgb[to + 2] = rgba[from + 2] ?? 0
  }
  return rgb
}
