import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import sharp from 'sharp'
import { executorLimits } from './executor-limits.ts'
import { wrapTiff } from './wrap-tiff.ts'

type DecodedPixels = { readonly width: number; readonly height: number; readonly pixels: Uint8Array }

/**
 * A HEIC as an uncompressed TIFF that libvips can read, upright (libheif applies `irot` and `imir`), colour profile kept.
 * The decoder runs in a thread of its own: its wasm heap of 300 MB and more goes away with the thread, and this
 * process can still be told to stop.
 */
export async function decodeHeic(bytes: Buffer): Promise<Buffer> {
  const { icc, hasAlpha } = await sharp(bytes).metadata()
  const { width, height, pixels } = await decodeInThread(bytes)
  const channels = hasAlpha ? 4 : 3
  return wrapTiff({ pixels: hasAlpha ? pixels : dropAlpha(pixels), width, height, channels, profile: icc })
}

async function decodeInThread(bytes: Buffer): Promise<DecodedPixels> {
  const self = import.meta.url
  const script = new URL(`./heic-worker${self.slice(self.lastIndexOf('.'))}`, self)
  const worker = new Worker(script, {
    workerData: new Uint8Array(bytes),
    resourceLimits: { maxOldGenerationSizeMb: executorLimits.heicWorkerHeapMB },
  })
  try {
    const [decoded] = (await once(worker, 'message')) as [DecodedPixels]
    return decoded
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
