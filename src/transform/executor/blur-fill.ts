import type { Sharp } from 'sharp'
import type { Raster } from './raster.ts'
import { rasterSource, renderRaster } from './raster.ts'
import type { Rect, Size } from './turn.ts'

/** The backdrop is blurred at this fraction of its size: the blur hides the difference, and it costs 1/64. */
const backdropScale = 1 / 8
/** Blur radius as a share of the longer side of the small backdrop. */
const sigmaShare = 0.03

/** The picture on a blurred copy of itself that covers the canvas (fill=blur). `canvas` says where it lies on it. */
export async function blurFill(raster: Raster, canvas: Rect): Promise<Sharp> {
  const small: Size = { width: reduced(canvas.width), height: reduced(canvas.height) }
  const sigma = Math.max(1, Math.max(small.width, small.height) * sigmaShare)
  const blurred = rasterSource(raster)
    .open()
    .resize({ ...small, fit: 'cover' })
    .blur(sigma)
  const backdrop = await renderRaster(
    rasterSource(await renderRaster(blurred, small, 1))
      .open()
      .resize({ width: canvas.width, height: canvas.height, fit: 'fill' }),
    canvas,
    1,
  )
  const { size, channels, pixels } = raster
  const onTop = {
    input: pixels,
    raw: { width: size.width, height: size.height, channels },
    left: canvas.left,
    top: canvas.top,
  }
  const composed = rasterSource(backdrop).open().composite([onTop])
  return channels === 2 || channels === 4 ? composed : composed.removeAlpha()
}

function reduced(side: number): number {
  return Math.max(1, Math.round(side * backdropScale))
}
