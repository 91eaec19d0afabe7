import sharp from 'sharp'
import type { Raster } from './raster.ts'
import { rasterSource } from './raster.ts'

/** Side of the grey picture that is transformed, and of the square of low frequencies that is kept. */
const side = 32
const kept = 8
/** Weaker frequencies than this (of 255 levels) are noise of the encoder. */
const noise = 1

/**
 * 64 bits as 16 hex digits, by the discrete cosine transform: which of the lowest frequencies are stronger than their median
 * (Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010). Survives scaling and encoding; a picture
 * without any structure has all bits but the first at zero.
 */
export async function perceptualHash(picture: Raster): Promise<string> {
  const onWhite = await rasterSource(picture)
    .open()
    .flatten({ background: '#fff' })
    .removeAlpha()
    .png({ compressionLevel: 0 })
    .toBuffer()
  const { data, info } = await sharp(onWhite)
    .resize(side, side, { fit: 'fill', kernel: 'cubic' })
    .greyscale()
    .raw()
    .toBuffer({ resolveWithObject: true })
  const grey = Array.from({ length: side * side }, (_, index) => data[index * info.channels] ?? 0)
  const strengths = lowFrequencies(grey)
  // The first is the mean brightness, far above all others.
  const middle = median(strengths.slice(1))
  const bits = strengths.map((strength) => (strength > middle + noise ? 1 : 0))
  return BigInt(`0b${bits.join('')}`)
    .toString(16)
    .padStart(16, '0')
}

/** Bits in which two hashes differ, 0 to 64. */
export function hashDistance(one: string, other: string): number {
  return (BigInt(`0x${one}`) ^ BigInt(`0x${other}`)).toString(2).replaceAll('0', '').length
}

/** Type II, orthonormal, rows first; row by row from the lowest. */
function lowFrequencies(grey: readonly number[]): number[] {
  const rows = Array.from({ length: side }, (_, y) => transform(grey.slice(y * side, (y + 1) * side)))
  const columns = Array.from({ length: kept }, (_, u) => transform(rows.map((row) => row[u] ?? 0)))
  return Array.from({ length: kept * kept }, (_, index) => columns[index % kept]?.[Math.floor(index / kept)] ?? 0)
}

function transform(values: readonly number[]): number[] {
  return Array.from({ length: kept }, (_, u) => {
    const sum = values.reduce(
      (total, value, x) => total + value * Math.cos(((2 * x + 1) * u * Math.PI) / (2 * side)),
      0,
    )
    return sum * Math.sqrt((u === 0 ? 1 : 2) / side)
  })
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
