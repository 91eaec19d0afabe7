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
import type { JpegShrink } from './shared-decode.ts'

/** Where an own file may be made; the second is memory, for a full or read-only disk. */
const folders = () => [tmpdir(), ...(process.platform === 'linux' ? ['/dev/shm'] : [])]

/**
 * Decodes an original to the pixels that plans with this shrink start from. Undefined when no temporary file can be had: what sharp
 * would shrink by itself only costs time then.
 */
export async function decodeShared(
  original: { readonly bytes: Buffer; readonly metadata: ImageMetadata },
  input: Extract<TransformPlan, { kind: 'render' }>['input'],
  shrink: JpegShrink,
  limits: DecodeLimits,
): Promise<Raster | undefined> {
  const { bytes, metadata } = original
  if (shrink !== 1) return decodeShrunk(bytes, shrink, limits)
  const source = await openOriginal(bytes, metadata, input, limits)
  return renderRaster(source.open(), source.size, 1)
}

/** libvips takes the shrink factor as an option behind a file name, and sharp passes it on for files only. */
async function decodeShrunk(bytes: Buffer, shrink: number, limits: DecodeLimits): Promise<Raster | undefined> {
  const file = await ownFile(bytes)
  if (!file) return undefined
  try {
    const options = { failOn: 'truncated', limitInputPixels: limits.maxPixels } as const
    const pipeline = sharp(`${file.path}[shrink=${shrink}]`, options).timeout({ seconds: limits.timeoutSeconds })
    const { data, info } = await pipeline.raw().toBuffer({ resolveWithObject: true })
    const { width, height, channels } = info
    return { pixels: data, size: { width, height }, channels, frames: 1 }
  } finally {
    await file.remove()
  }
}

type OwnFile = { readonly path: string; readonly remove: () => Promise<void> }

async function ownFile(bytes: Buffer): Promise<OwnFile | undefined> {
  for (const folder of folders()) {
    const file = await writeOwnFile(join(folder, `halftone-${randomUUID()}.jpg`), bytes).catch(() => undefined)
    if (file) return file
  }
  return undefined
}

/** The file loses its name before anything is in it (where the platform can do that), so that a killed renderer leaves nothing behind. */
async function writeOwnFile(path: string, bytes: Buffer): Promise<OwnFile> {
  const file = await open(path, 'wx', 0o600)
  const isLinux = process.platform === 'linux'
  const remove = async () => {
    await file.close()
    await rm(path, { force: true })
  }
  try {
    if (isLinux) await rm(path)
    await file.writeFile(bytes)
    return { path: isLinux ? `/proc/self/fd/${file.fd}` : path, remove }
  } catch (error) {
    await remove()
    throw error
  }
}
