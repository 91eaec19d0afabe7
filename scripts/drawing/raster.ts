import sharp from 'sharp'
import type { Sharp } from 'sharp'
import { createRandom } from './noise.ts'

export type Rgb = readonly [number, number, number]

/** Raw 8-bit pixels, row by row. */
export type Raster = {
  readonly width: number
  readonly height: number
  readonly channels: 3 | 4
  readonly pixels: Uint8ClampedArray
}

export function createRaster(width: number, height: number, channels: 3 | 4 = 3): Raster {
  return { width, height, channels, pixels: new Uint8ClampedArray(width * height * channels) }
}

/** `pageHeight`: the raster is a strip of animation frames of that height. */
export function sharpOf({ width, height, channels, pixels }: Raster, pageHeight?: number): Sharp {
  const raw = { width, height, channels, ...(pageHeight === undefined ? {} : { pageHeight }) }
  return sharp(Buffer.from(pixels.buffer, pixels.byteOffset, pixels.byteLength), { raw })
}

export async function rasterOf(picture: Sharp): Promise<Raster> {
  const { data, info } = await picture.removeAlpha().raw().toBuffer({ resolveWithObject: true })
  return { width: info.width, height: info.height, channels: 3, pixels: new Uint8ClampedArray(data) }
}

export const clamp01 = (value: number): number => (value < 0 ? 0 : value > 1 ? 1 : value)

export const mix = (from: number, to: number, share: number): number => from + (to - from) * share

/** 0 below `low`, 1 above `high`, smooth between. */
export function smoothstep(low: number, high: number, value: number): number {
  const share = clamp01((value - low) / (high - low))
  return share * share * (3 - 2 * share)
}

/** 1024 colours along the stops; a look-up is far cheaper than mixing per pixel. */
export function createRamp(stops: readonly (readonly [number, Rgb])[]): (position: number) => Rgb {
  const table = Array.from({ length: 1024 }, (_, index) => colorAt(stops, index / 1023))
  return (position) => table[Math.round(clamp01(position) * 1023)]!
}

function colorAt(stops: readonly (readonly [number, Rgb])[], position: number): Rgb {
  const next = Math.max(
    1,
    stops.findIndex(([at]) => at >= position),
  )
  const [fromAt, from] = stops[next - 1]!
  const [toAt, to] = stops[next]!
  const share = smoothstep(fromAt, toAt, position)
  return [mix(from[0], to[0], share), mix(from[1], to[1], share), mix(from[2], to[2], share)]
}

/** Film grain and a soft vignette: what makes a drawing read as a photograph, and what gives encoders honest work. */
export function developFilm(raster: Raster, options: { seed: number; grain: number; vignette: number }): void {
  const { width, height, channels, pixels } = raster
  const random = createRandom(options.seed)
  const grains = Float32Array.from({ length: 65_521 }, () => (random() + random() + random() - 1.5) * options.grain)
  let grain = 0
  for (let y = 0; y < height; y++) {
    const dy = (y / height - 0.5) ** 2
    for (let x = 0; x < width; x++) {
      const light = 1 - options.vignette * (dy + (x / width - 0.5) ** 2) * 2
      const noise = grains[grain++ % grains.length]!
      const at = (y * width + x) * channels
      pixels[at] = pixels[at]! * light + noise
      pixels[at + 1] = pixels[at + 1]! * light + noise
      pixels[at + 2] = pixels[at + 2]! * light + noise * 1.2
    }
  }
}
