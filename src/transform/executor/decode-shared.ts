import { open, rm } from 'node:fs/promises'
import { randomUUID } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import type { ImageMetadata } from '../image/image-metadata.ts'
import type { TransformPlan } from '../planner/transform-plan.ts'
import type { DecodeLimits } from './open-original.ts'
import { openOriginal } from './open-original.ts'
import type { Raster } from './raster.ts'
import { renderRaster } from './raster.ts'
import type { SharedDecode } from './shared-decode.ts'

/**
 * Decodes an original to the pixels that plans with this decode start from. Undefined when no temporary file can be had,
 * which costs time but changes no result.
 */
export async function decodeShared(
  original: { readonly bytes: Buffer; readonly metadata: ImageMetadata },
  input: Extract<TransformPlan, { kind: 'render' }>['input'],
  decode: SharedDecode,
  limits: DecodeLimits,
): Promise<Raster | undefined> {
  const { bytes, metadata } = original
  if (decode.shrink !== 1) return decodeShrunk(bytes, decode.shrink, limits)
  const source = await openOriginal(bytes, metadata, input, limits)
  return renderRaster(source.open(), source.size, 1)
}

/**
 * libvips takes the shrink factor as an option behind a file name, and sharp passes it on for files only. The file has
 * lost its name before it is read (where the platform can do that), so that a killed renderer leaves nothing behind.
 */
async function decodeShrunk(bytes: Buffer, shrink: number, limits: DecodeLimits): Promise<Raster | undefined> {
  const path = join(tmpdir(), `halftone-${randomUUID()}.jpg`)
  const file = await open(path, 'wx', 0o600).catch(() => undefined)
  if (!file) return undefined
  try {
    const hasWritten = await file.writeFile(bytes).then(
      () => true,
      () => false,
    )
    if (!hasWritten) return undefined
    const isLinux = process.platform === 'linux'
    if (isLinux) await rm(path)
    const name = isLinux ? `/proc/self/fd/${file.fd}` : path
    const options = { failOn: 'truncated', limitInputPixels: limits.maxPixels } as const
    const pipeline = sharp(`${name}[shrink=${shrink}]`, options).timeout({ seconds: limits.timeoutSeconds })
    const { data, info } = await pipeline.raw().toBuffer({ resolveWithObject: true })
    const { width, height, channels } = info
    return { pixels: data, size: { width, height }, channels, frames: 1 }
  } finally {
    await file.close()
    await rm(path, { force: true })
  }
}
