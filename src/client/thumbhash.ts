/** The header of a ThumbHash (evanw.github.io/thumbhash): luminance, two colour axes, alpha; each with the scale of its waves. */
export type ThumbHashHeader = {
  readonly l: number
  readonly p: number
  readonly q: number
  readonly a: number
  readonly scales: readonly [l: number, p: number, q: number, a: number]
  readonly hasAlpha: boolean
  readonly lx: number
  readonly ly: number
}

export type RgbaPicture = { readonly width: number; readonly height: number; readonly rgba: Uint8ClampedArray }

const longSide = 32

/** From base64 (also the URL alphabet) or bytes. Throws RangeError for what is too short. */
export function readThumbhash(hash: string | Uint8Array): Uint8Array {
  const bytes =
    typeof hash === 'string'
      ? Uint8Array.from(atob(hash.replaceAll('-', '+').replaceAll('_', '/')), (one) => one.charCodeAt(0))
      : hash
  if (bytes.length < 5) throw new RangeError('thumbhash: expected at least 5 bytes')
  return bytes
}

export function readHeader(hash: Uint8Array): ThumbHashHeader {
  const at = (index: number) => hash[index] ?? 0
  const color = at(0) | (at(1) << 8) | (at(2) << 16)
  const rest = at(3) | (at(4) << 8)
  const hasAlpha = color >> 23 > 0
  const isLandscape = rest >> 15 > 0
  const long = hasAlpha ? 5 : 7
  return {
    l: (color & 63) / 63,
    p: ((color >> 6) & 63) / 31.5 - 1,
    q: ((color >> 12) & 63) / 31.5 - 1,
    a: hasAlpha ? (at(5) & 15) / 15 : 1,
    // Colours a quarter stronger, to make up for what rounding has taken.
    scales: [
      ((color >> 18) & 31) / 31,
      (((rest >> 3) & 63) / 63) * 1.25,
      (((rest >> 9) & 63) / 63) * 1.25,
      (at(5) >> 4) / 15,
    ],
    hasAlpha,
    lx: isLandscape ? long : rest & 7,
    ly: isLandscape ? rest & 7 : long,
  }
}

/** The blurred picture, 32 pixels on its longer side. */
export function decodeThumbhash(hash: Uint8Array): RgbaPicture {
  const header = readHeader(hash)
  const { l, p, q, a, scales, hasAlpha, lx, ly } = header
  const ratio = lx / ly
  const width = Math.round(ratio > 1 ? longSide : longSide * ratio)
  const height = Math.round(ratio > 1 ? longSide / ratio : longSide)
  const readWaves = waveReader(hash, hasAlpha ? 6 : 5)
  const lightness = readWaves(Math.max(3, lx), Math.max(3, ly), scales[0])
  const reddish = readWaves(3, 3, scales[1])
  const yellowish = readWaves(3, 3, scales[2])
  const opacity = hasAlpha ? readWaves(5, 5, scales[3]) : []
  const rgba = new Uint8ClampedArray(width * height * 4)
  for (let index = 0; index < width * height; index += 1) {
    const x = (Math.PI / width) * ((index % width) + 0.5)
    const y = (Math.PI / height) * (Math.floor(index / width) + 0.5)
    const at = (base: number, waves: readonly Wave[]) =>
      waves.reduce((sum, [cx, cy, size]) => sum + size * Math.cos(x * cx) * Math.cos(y * cy), base)
    rgba.set([...rgbOf(at(l, lightness), at(p, reddish), at(q, yellowish)), at(a, opacity)].map(byteOf), index * 4)
  }
  return { width, height, rgba }
}

/** Shares of 0..1, but for what rounding has pushed over. */
export function rgbOf(l: number, p: number, q: number): [number, number, number] {
  const b = l - (2 / 3) * p
  const r = (3 * l - b + q) / 2
  return [r, r - q, b]
}

/** Cut, not rounded, as the reference does. */
export const byteOf = (share: number): number => Math.floor(255 * Math.min(1, Math.max(0, share)))

/** One cosine wave: how often it swings across and down, and how far. */
type Wave = readonly [cx: number, cy: number, size: number]

/** Half a byte for each wave, low half first; channel after channel, without the constant one. */
function waveReader(hash: Uint8Array, start: number) {
  let place = start * 2
  return (nx: number, ny: number, scale: number): Wave[] => {
    const waves: Wave[] = []
    for (let cy = 0; cy < ny; cy += 1) {
      for (let cx = cy === 0 ? 1 : 0; cx * ny < nx * (ny - cy); cx += 1, place += 1) {
        const half = ((hash[place >> 1] ?? 0) >> ((place & 1) * 4)) & 15
        // Twice, because the wave across an edge swings to one side only.
        waves.push([cx, cy, (half / 7.5 - 1) * scale * 2])
      }
    }
    return waves
  }
}
