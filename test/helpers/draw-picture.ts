import sharp from 'sharp'
import type { Sharp } from 'sharp'

export type Rgb = readonly [number, number, number]

/** Colours of the quadrants picture, read like text: top left, top right, bottom left, bottom right. */
export const quadrantColors = {
  topLeft: [220, 30, 30],
  topRight: [30, 170, 60],
  bottomLeft: [30, 60, 210],
  bottomRight: [240, 200, 30],
} as const satisfies Record<string, Rgb>

/** Four flat quadrants: shows which way is up, what a crop kept and whether colours survived. */
export function drawQuadrants(width: number, height: number): Sharp {
  const { topLeft, topRight, bottomLeft, bottomRight } = quadrantColors
  return rasterOf(width, height, (x, y) => {
    if (y < height / 2) return x < width / 2 ? topLeft : topRight
    return x < width / 2 ? bottomLeft : bottomRight
  })
}

type JpegOptions = {
  /** EXIF orientation 1..8; the quadrants are stored turned, so that a viewer that honours it sees them upright. */
  readonly orientation?: number
  /** Name of a profile that sharp ships (`p3`, `srgb`) or path of an .icc file; pixels are converted into it. */
  readonly icc?: string
  /** Adds a GPS position to EXIF. */
  readonly gps?: boolean
  readonly quality?: number
}

/** The quadrants as JPEG; `width` and `height` are the upright size. */
export async function drawQuadrantsJpeg(width: number, height: number, options: JpegOptions = {}): Promise<Buffer> {
  return encodeJpeg(await storeTurned(drawQuadrants(width, height), options.orientation ?? 1), options)
}

/** A two-way gradient with fine texture as JPEG: what qualities and sizes can be compared on. */
export async function drawGradientJpeg(width: number, height: number, options: JpegOptions = {}): Promise<Buffer> {
  return encodeJpeg(await storeTurned(drawGradient(width, height), options.orientation ?? 1), options)
}

export function drawGradient(width: number, height: number): Sharp {
  return rasterOf(width, height, (x, y) => {
    const texture = 14 * Math.sin(x * 0.7) * Math.cos(y * 0.9)
    return [(x / width) * 230 + 10 + texture, (y / height) * 230 + 10 + texture, 128 + texture]
  })
}

/** A soft orange disc on nothing: alpha runs from 255 in the centre to 0 in the corners. */
export async function drawAlphaPng(width: number, height: number): Promise<Buffer> {
  const pixels = Buffer.alloc(width * height * 4)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const away = Math.hypot((x + 0.5) / width - 0.5, (y + 0.5) / height - 0.5) * 2
      pixels.set([250, 120, 20, Math.round(255 * Math.min(1, Math.max(0, 1.6 - away * 1.6)))], (y * width + x) * 4)
    }
  }
  return sharp(pixels, { raw: { width, height, channels: 4 } })
    .png()
    .toBuffer()
}

/** Sixteen bits a channel: a ramp that eight bits would band. */
export async function drawDeepPng(width: number, height: number): Promise<Buffer> {
  const samples = Uint16Array.from({ length: width * height * 3 }, (_, index) => {
    const x = Math.floor(index / 3) % width
    return [(x / width) * 65_535, 32_768, (1 - x / width) * 65_535][index % 3]!
  })
  return sharp(samples, { raw: { width, height, channels: 3 } })
    .toColourspace('rgb16')
    .png()
    .toBuffer()
}

/** The quadrants in four inks with a CMYK profile, as print shops send them. */
export async function drawCmykJpeg(width: number, height: number): Promise<Buffer> {
  return drawQuadrants(width, height).withIccProfile('cmyk').toColourspace('cmyk').jpeg({ quality: 95 }).toBuffer()
}

/** A white bar wanders over `frames` frames of changing colour. */
export async function drawAnimation(
  format: 'gif' | 'webp',
  size: { width: number; height: number; frames: number },
): Promise<Buffer> {
  const { width, height, frames } = size
  const strip = Buffer.alloc(width * height * frames * 3)
  for (let row = 0; row < height * frames; row++) {
    const frame = Math.floor(row / height)
    for (let x = 0; x < width; x++) {
      const inBar = Math.floor((x / width) * frames) === frame
      strip.set(inBar ? [255, 255, 255] : [(frame * 200) / frames, 40, 120], (row * width + x) * 3)
    }
  }
  const animation = sharp(strip, { raw: { width, height: height * frames, channels: 3, pageHeight: height } })
  const delay = Array<number>(frames).fill(60)
  return format === 'gif' ? animation.gif({ delay, loop: 0 }).toBuffer() : animation.webp({ delay, loop: 0 }).toBuffer()
}

export const drawAnimatedGif = (frames: number, width = 40, height = 30): Promise<Buffer> =>
  drawAnimation('gif', { width, height, frames })

/** A vector picture 200 x 100 with a viewBox; `inside` is added as it stands, to smuggle things in. */
export const drawSvg = (inside = ''): Buffer =>
  Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="200" height="100" viewBox="0 0 200 100"><rect width="100" height="100" fill="#dc1e1e"/><rect x="100" width="100" height="100" fill="#1eaa3c"/>${inside}</svg>`,
  )

/** Mean colour of the small square around a point given in shares of the picture (0..1). */
export async function colorAt(picture: Buffer, x: number, y: number): Promise<Rgb> {
  const { data, info } = await sharp(picture)
    .removeAlpha()
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true })
  const sums = [0, 0, 0]
  const [centreX, centreY] = [Math.round(x * (info.width - 1)), Math.round(y * (info.height - 1))]
  let count = 0
  for (let row = Math.max(0, centreY - 1); row <= Math.min(info.height - 1, centreY + 1); row++) {
    for (let column = Math.max(0, centreX - 1); column <= Math.min(info.width - 1, centreX + 1); column++) {
      count++
      for (let channel = 0; channel < 3; channel++) {
        // A grey picture has one channel; it stands for all three.
        sums[channel]! += data[(row * info.width + column) * info.channels + Math.min(channel, info.channels - 1)]!
      }
    }
  }
  return [sums[0]! / count, sums[1]! / count, sums[2]! / count]
}

/** Largest difference of any channel. */
export function colorDistance(one: Rgb, other: Rgb): number {
  return Math.max(...one.map((value, channel) => Math.abs(value - other[channel]!)))
}

function rasterOf(width: number, height: number, paint: (x: number, y: number) => Rgb): Sharp {
  const pixels = new Uint8ClampedArray(width * height * 3)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) pixels.set(paint(x, y), (y * width + x) * 3)
  }
  return sharp(Buffer.from(pixels.buffer), { raw: { width, height, channels: 3 } })
}

/** The inverse of what EXIF orientation asks a viewer to do: [mirror left-right, then turn clockwise]. */
const storedTurns: Readonly<Record<number, readonly [boolean, number]>> = {
  1: [false, 0],
  2: [true, 0],
  3: [false, 180],
  4: [true, 180],
  5: [true, 270],
  6: [false, 270],
  7: [true, 90],
  8: [false, 90],
}

async function storeTurned(upright: Sharp, orientation: number): Promise<Sharp> {
  const [mirrored, degrees] = storedTurns[orientation]!
  // In two passes: sharp orders flop and rotate by itself when they share a pipeline.
  const flopped = await upright.flop(mirrored).png().toBuffer()
  return sharp(await sharp(flopped).rotate(degrees).png().toBuffer())
}

function encodeJpeg(picture: Sharp, { orientation, icc, gps, quality = 92 }: JpegOptions): Promise<Buffer> {
  let output = picture
  if (icc !== undefined) output = output.withIccProfile(icc)
  if (gps === true) output = output.withExifMerge({ IFD3: { GPSLatitudeRef: 'N', GPSLatitude: '48/1 11/1 54/1' } })
  if (orientation !== undefined) output = output.withMetadata({ orientation, ...(icc === undefined ? {} : { icc }) })
  return output.jpeg({ quality, chromaSubsampling: '4:4:4' }).toBuffer()
}
