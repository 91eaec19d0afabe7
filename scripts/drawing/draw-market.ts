import sharp from 'sharp'
import { createNoise, createRandom } from './noise.ts'
import type { Noise } from './noise.ts'
import { clamp01, createRaster, developFilm, mix, smoothstep } from './raster.ts'
import type { Raster, Rgb } from './raster.ts'

type Fruit = {
  readonly radius: number
  readonly main: Rgb
  readonly second: Rgb
  /** How far the skin's pores bend the light, and how many there are across one picture height. */
  readonly bump: number
  readonly pores: number
  readonly gloss: number
  readonly skin: 'even' | 'streaked' | 'bloom'
}

const orange: Fruit = {
  radius: 0.082,
  main: [246, 128, 14],
  second: [255, 168, 40],
  bump: 0.09,
  pores: 330,
  gloss: 0.5,
  skin: 'even',
}
const lime: Fruit = {
  radius: 0.06,
  main: [104, 162, 24],
  second: [176, 204, 58],
  bump: 0.06,
  pores: 380,
  gloss: 0.55,
  skin: 'even',
}
const lemon: Fruit = {
  radius: 0.068,
  main: [250, 206, 26],
  second: [255, 230, 92],
  bump: 0.08,
  pores: 300,
  gloss: 0.5,
  skin: 'even',
}
const apple: Fruit = {
  radius: 0.086,
  main: [188, 22, 34],
  second: [244, 176, 62],
  bump: 0.02,
  pores: 120,
  gloss: 1,
  skin: 'streaked',
}
const plum: Fruit = {
  radius: 0.058,
  main: [74, 26, 84],
  second: [138, 112, 168],
  bump: 0.02,
  pores: 80,
  gloss: 0.45,
  skin: 'bloom',
}
const tomato: Fruit = {
  radius: 0.066,
  main: [222, 38, 22],
  second: [244, 92, 38],
  bump: 0.01,
  pores: 60,
  gloss: 1.1,
  skin: 'even',
}

const bins: readonly (readonly Fruit[])[] = [
  [orange, plum, lime],
  [apple, lemon, tomato],
]

/** Lengths in picture heights. */
type Bin = {
  readonly fruit: Fruit
  readonly left: number
  readonly right: number
  readonly top: number
  readonly bottom: number
}
type Ball = {
  readonly bin: Bin
  readonly x: number
  readonly y: number
  readonly z: number
  readonly radius: number
  readonly seed: number
}

/** A fruit stall from above: saturated colours, fine skin texture, soft shadow between the fruit. */
export async function drawMarket(width: number, height: number): Promise<Raster> {
  const raster = createRaster(width, height)
  const noise = createNoise(91)
  const depth = new Float32Array(width * height)
  paintWood(raster, noise)
  for (const ball of placeFruit(width / height)) paintBall({ raster, depth, noise }, ball)
  await shadeGaps(raster, depth)
  paintSlats(raster, noise)
  developFilm(raster, { seed: 9, grain: 5, vignette: 0.34 })
  return raster
}

function placeFruit(aspect: number): Ball[] {
  const random = createRandom(17)
  const filled = bins.flatMap((row, rowIndex) =>
    row.map((fruit, column) => ({
      fruit,
      left: (column / row.length) * aspect,
      right: ((column + 1) / row.length) * aspect,
      top: rowIndex / bins.length,
      bottom: (rowIndex + 1) / bins.length,
    })),
  )
  return filled.flatMap((bin) => [...fillLevel(bin, 0, random), ...fillLevel(bin, 1, random)])
}

/** A shaken hexagonal layer; the upper one is looser. */
function fillLevel(bin: Bin, level: 0 | 1, random: () => number): Ball[] {
  const size = bin.fruit.radius
  const step = size * (level === 0 ? 1.84 : 2.25)
  const balls: Ball[] = []
  let shift = level * 0.5
  for (let y = bin.top + size * 0.5; y < bin.bottom + size * 0.4; y += step * 0.87) {
    shift = shift === 0 ? 0.5 : 0
    for (let x = bin.left + size * 0.8 + shift * step; x < bin.right + size * 0.3; x += step) {
      const kept = level === 0 || random() < 0.7
      const spot = { x: x + (random() - 0.5) * step * 0.16, y: y + (random() - 0.5) * step * 0.16 }
      const radius = size * (0.9 + random() * 0.16)
      const seed = Math.floor(random() * 1000)
      if (kept) balls.push({ bin, ...spot, z: level * size * 1.15, radius, seed })
    }
  }
  return balls
}

function paintWood({ width, height, pixels }: Raster, noise: Noise): void {
  for (let at = 0, y = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 3) {
      const grain = 24 + noise.at(x / 90, y / 6) * 9
      pixels[at] = grain * 1.2
      pixels[at + 1] = grain * 0.85
      pixels[at + 2] = grain * 0.6
    }
  }
}

type Canvas = { readonly raster: Raster; readonly depth: Float32Array; readonly noise: Noise }

function paintBall({ raster: { width, height, pixels }, depth, noise }: Canvas, ball: Ball): void {
  const { bin, radius, seed } = ball
  const { fruit } = bin
  const stem = { x: Math.sin(seed) * 0.55, y: Math.cos(seed * 1.7) * 0.55 }
  const [turnX, turnY] = [Math.sin(seed * 3.1) * radius * fruit.pores, Math.cos(seed * 3.1) * radius * fruit.pores]
  const lastY = Math.min(height - 1, Math.min(bin.bottom, ball.y + radius) * height)
  for (let y = Math.ceil(Math.max(bin.top, ball.y - radius) * height); y <= lastY; y++) {
    const ny = (y / height - ball.y) / radius
    const reach = Math.sqrt(Math.max(0, 1 - ny * ny)) * radius
    const lastX = Math.min(width - 1, Math.min(bin.right, ball.x + reach) * height)
    for (let x = Math.ceil(Math.max(bin.left, ball.x - reach) * height); x <= lastX; x++) {
      const nx = (x / height - ball.x) / radius
      const nz = Math.sqrt(Math.max(0, 1 - nx * nx - ny * ny))
      const z = ball.z + nz * radius
      if (z <= depth[y * width + x]!) continue
      depth[y * width + x] = z
      // Turned per fruit, so that the noise lattice never lines up with the pixel grid.
      const [px, py] = [nx * turnX + ny * turnY + seed, ny * turnX - nx * turnY]
      const bumpX = (noise.at(px, py) + noise.at(px * 2.3, py * 2.3) * 0.5) * fruit.bump
      const bumpY = (noise.at(px + 40, py) + noise.at(px * 2.3 + 40, py * 2.3) * 0.5) * fruit.bump
      const color = skinAt({ fruit, noise, seed, stem }, nx, ny)
      lightPixel(pixels, (y * width + x) * 3, { color, nx: nx + bumpX, ny: ny + bumpY, nz, gloss: fruit.gloss })
    }
  }
}

type Skin = {
  readonly fruit: Fruit
  readonly noise: Noise
  readonly seed: number
  readonly stem: { readonly x: number; readonly y: number }
}

function skinAt({ fruit, noise, seed, stem }: Skin, nx: number, ny: number): Rgb {
  const dx = nx - stem.x
  const dy = ny - stem.y
  const away = Math.hypot(dx, dy)
  const patch = shareOfSecond(fruit.skin, noise, { nx, ny, seed, away, angle: Math.atan2(dy, dx) })
  const pit = fruit.skin === 'bloom' ? 0 : smoothstep(0.13, 0.04, away)
  return [
    mix(mix(fruit.main[0], fruit.second[0], patch), 62, pit),
    mix(mix(fruit.main[1], fruit.second[1], patch), 74, pit),
    mix(mix(fruit.main[2], fruit.second[2], patch), 30, pit),
  ]
}

type SkinPoint = {
  readonly nx: number
  readonly ny: number
  readonly seed: number
  readonly away: number
  readonly angle: number
}

function shareOfSecond(skin: Fruit['skin'], noise: Noise, { nx, ny, seed, away, angle }: SkinPoint): number {
  const broad = noise.fractal(nx * 1.4 + seed, ny * 1.4, 2)
  if (skin === 'even') return clamp01(0.35 + broad)
  if (skin === 'bloom') return clamp01(0.3 + broad * 0.9 + noise.at(nx * 9 + seed, ny * 9) * 0.16)
  const streak = noise.at(Math.cos(angle) * 9 + seed, Math.sin(angle) * 9 + away * 1.2)
  return clamp01(0.12 + streak * 0.42 + broad * 0.8 + smoothstep(0.5, 0.05, away) * 0.6)
}

type LitPoint = {
  readonly color: Rgb
  readonly nx: number
  readonly ny: number
  readonly nz: number
  readonly gloss: number
}

/** Warm key light from the upper left, cool sky from above, a broad and a narrow highlight. */
function lightPixel(pixels: Uint8ClampedArray, at: number, { color, nx, ny, nz, gloss }: LitPoint): void {
  const key = clamp01(nx * -0.5 + ny * -0.56 + nz * 0.66)
  const sky = 0.2 + nz * 0.24
  const half = clamp01(nx * -0.275 + ny * -0.308 + nz * 0.911)
  const shine = gloss * (half ** 90 * 190 + half ** 14 * 26)
  // A little of the colour comes back from the neighbours: shadow sides stay warm.
  pixels[at] = color[0] * (key * 0.92 + sky * 0.9 + 0.05) + shine
  pixels[at + 1] = color[1] * (key * 0.88 + sky) + shine * 0.97
  pixels[at + 2] = color[2] * (key * 0.8 + sky * 1.25) + shine * 0.92
}

/** Darkens what lies deeper than its surroundings: shadow between the fruit, stronger away from the light. */
async function shadeGaps({ width, height, pixels }: Raster, depth: Float32Array): Promise<void> {
  const heights = Buffer.from(Uint8Array.from(depth, (value) => Math.min(255, value * 1300)))
  const blurred = await sharp(heights, { raw: { width, height, channels: 1 } })
    .resize(Math.ceil(width / 4), Math.ceil(height / 4))
    .blur(height / 240)
    .resize(width, height)
    .extractChannel(0)
    .raw()
    .toBuffer()
  const shift = Math.round(height * 0.012)
  for (let y = 0; y < height; y++) {
    const lit = Math.max(0, y - shift) * width
    for (let x = 0; x < width; x++) {
      const around = (blurred[y * width + x]! + blurred[lit + Math.max(0, x - shift)]! * 1.4) / 2.4
      const shade = 1 - 0.82 * smoothstep(-6, 62, around - heights[y * width + x]!)
      const at = (y * width + x) * 3
      pixels[at] = pixels[at]! * (shade * 0.9 + 0.1)
      pixels[at + 1] = pixels[at + 1]! * shade
      pixels[at + 2] = pixels[at + 2]! * shade
    }
  }
}

const SLAT = 0.017

/** The crate's slats lie on top and throw a shadow around them. */
function paintSlats({ width, height, pixels }: Raster, noise: Noise): void {
  const third = width / height / 3
  for (let y = 0; y < height; y++) {
    const v = y / height
    const across = Math.abs(v - 0.5)
    for (let x = 0; x < width; x++) {
      const u = x / height
      const distance = Math.min(across, Math.abs(u - third), Math.abs(u - 2 * third))
      if (distance > SLAT * 2.6) continue
      const at = (y * width + x) * 3
      const shade = 1 - 0.6 * smoothstep(SLAT * 2.6, SLAT, distance)
      const [along, side] = across < SLAT ? [u, v] : [v, u]
      const light = distance < SLAT ? slatLight(noise, { along, side, distance }) : 0
      pixels[at] = light > 0 ? 168 * light : pixels[at]! * shade
      pixels[at + 1] = light > 0 ? 120 * light : pixels[at + 1]! * shade
      pixels[at + 2] = light > 0 ? 76 * light : pixels[at + 2]! * shade
    }
  }
}

function slatLight(noise: Noise, { along, side, distance }: { along: number; side: number; distance: number }): number {
  const grain = noise.fractal(along * 7, side * 190, 4) * 0.5 + noise.at(along * 40, side * 700) * 0.12
  return (0.95 + grain) * (0.62 + 0.5 * smoothstep(SLAT, SLAT * 0.72, distance))
}
