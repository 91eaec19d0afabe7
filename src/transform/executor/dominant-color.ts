import { formatColor } from '../image/color.ts'
import type { Raster } from './raster.ts'
import { rasterSource } from './raster.ts'

const side = 64
/** Colours are counted in cubes of this side. */
const cube = 32
const cubesPerAxis = 256 / cube
/** Pixels that are hardly there say nothing about the colour of the whole. */
const minAlpha = 128

type Count = { pixels: number; r: number; g: number; b: number }

/** `#rrggbb`: the mean of the cube of colours that most pixels are in; of a picture that cannot be seen, white. */
export async function dominantColor(picture: Raster): Promise<string> {
  const data = await rasterSource(picture)
    .open()
    .toColourspace('srgb')
    .ensureAlpha()
    .resize(side, side, { fit: 'inside', withoutEnlargement: true })
    .raw()
    .toBuffer()
  const counts = new Map<number, Count>()
  for (let at = 0; at + 3 < data.length; at += 4) {
    const [r = 0, g = 0, b = 0, alpha = 0] = data.subarray(at, at + 4)
    if (alpha < minAlpha) continue
    const key = [r, g, b].reduce((index, value) => index * cubesPerAxis + Math.floor(value / cube), 0)
    const count = counts.get(key) ?? { pixels: 0, r: 0, g: 0, b: 0 }
    counts.set(key, { pixels: count.pixels + 1, r: count.r + r, g: count.g + g, b: count.b + b })
  }
  const most = [...counts.values()].reduce((best, count) => (count.pixels > best.pixels ? count : best), {
    pixels: 0,
    r: 0,
    g: 0,
    b: 0,
  })
  if (most.pixels === 0) return '#ffffff'
  const { pixels, r, g, b } = most
  return `#${formatColor({ r: r / pixels, g: g / pixels, b: b / pixels, alpha: 1 })}`
}
