import sharp from 'sharp'
import type { Sharp } from 'sharp'
import { AppError } from '../../errors.ts'
import type { Size } from './turn.ts'

/** Decoded 8-bit sRGB pixels; the frames of an animation stand one below the other. `size` is that of one frame. */
export type Raster = {
  readonly pixels: Buffer
  readonly size: Size
  readonly channels: 1 | 2 | 3 | 4
  readonly frames: number
}

/** Where a stage gets its pixels: each call of `open` gives a fresh pipeline over the same picture. */
export type PixelSource = {
  readonly open: () => Sharp
  readonly size: Size
  readonly frames: number
  readonly raster: Raster | undefined
}

/** Pixels as the input of the next stage. */
export function rasterSource(raster: Raster): PixelSource {
  const { size, channels, frames, pixels } = raster
  const raw = {
    width: size.width,
    height: size.height * frames,
    channels,
    ...(frames > 1 ? { pageHeight: size.height } : {}),
  }
  // The pixels were counted against the limit when they were decoded; what the plan made of them is the planner's limit.
  const options = { raw, limitInputPixels: false, ...(frames > 1 ? { pages: -1 } : {}) }
  return { open: () => sharp(pixels, options), size, frames, raster }
}

/** Runs a pipeline to pixels. The size is known from the plan: sharp reports it wrongly after a quarter turn. */
export async function renderRaster(pipeline: Sharp, size: Size, frames: number): Promise<Raster> {
  const { data, info } = await pipeline.raw().toBuffer({ resolveWithObject: true })
  if (data.length !== size.width * size.height * frames * info.channels) {
    throw new AppError('internal', {
      cause: new Error(`stage gave ${data.length} bytes for ${size.width}x${size.height}x${frames}`),
    })
  }
  return { pixels: data, size, channels: info.channels, frames }
}

/** The pixels of a source, decoded at most once. */
export function rasterOf(source: PixelSource): Promise<Raster> {
  return source.raster ? Promise.resolve(source.raster) : renderRaster(source.open(), source.size, source.frames)
}

/** The single frames of an animation, without copying. */
export function framesOf(raster: Raster): readonly Raster[] {
  const frameBytes = raster.size.width * raster.size.height * raster.channels
  return Array.from({ length: raster.frames }, (_, index) => ({
    ...raster,
    frames: 1,
    pixels: raster.pixels.subarray(index * frameBytes, (index + 1) * frameBytes),
  }))
}
