import { createNoise, createRandom } from './noise.ts'
import type { Noise } from './noise.ts'
import { clamp01, createRamp, createRaster, developFilm, mix, smoothstep } from './raster.ts'
import type { Raster, Rgb } from './raster.ts'

const skyRamp = createRamp([
  [0, [22, 30, 74]],
  [0.3, [62, 62, 128]],
  [0.55, [142, 88, 142]],
  [0.75, [232, 126, 118]],
  [0.9, [255, 184, 118]],
  [1, [255, 222, 160]],
])

type Ridge = {
  readonly base: number
  readonly height: number
  readonly frequency: number
  readonly color: Rgb
  /** Share of the layer's own colour that distance leaves. */
  readonly clarity: number
  readonly snow: number
  readonly trees: number
}

/** From far to near; lengths in picture heights. */
const ridges: readonly Ridge[] = [
  { base: 0.05, height: 0.36, frequency: 1.7, color: [84, 72, 124], clarity: 0.74, snow: 0.9, trees: 0 },
  { base: 0.0, height: 0.2, frequency: 2.1, color: [74, 62, 112], clarity: 0.8, snow: 0.25, trees: 0 },
  { base: 0.01, height: 0.1, frequency: 2.4, color: [52, 48, 90], clarity: 0.9, snow: 0, trees: 0.008 },
  { base: -0.005, height: 0.058, frequency: 3.1, color: [24, 28, 52], clarity: 0.98, snow: 0, trees: 0.022 },
]

const HORIZON = 0.62
const SUN = { x: 0.69, y: 0.5 }

/** A mountain lake at dusk: sky, four ridges, their reflection, a dark shore in front. */
export function drawLake(width: number, height: number): Raster {
  const raster = createRaster(width, height)
  const noise = createNoise(7)
  const horizon = Math.round(height * HORIZON)
  paintSky(raster, noise, horizon)
  ridges.forEach((ridge, index) => paintRidge(raster, { ridge, noise, horizon, seed: 14 + index * 5 }))
  paintWater(raster, noise, horizon)
  paintShore(raster, noise)
  developFilm(raster, { seed: 3, grain: 5, vignette: 0.42 })
  return raster
}

function glowAt(u: number, v: number): number {
  const distance = Math.sqrt(((u - SUN.x) * 0.8) ** 2 + (v - SUN.y) ** 2)
  return Math.exp(-distance * 4.2)
}

function paintSky({ width, height, pixels }: Raster, noise: Noise, horizon: number): void {
  for (let y = 0; y < horizon; y++) {
    const v = y / height
    const base = skyRamp(v / HORIZON / 0.94)
    for (let x = 0; x < width; x++) {
      const u = x / height
      const glow = glowAt(u, v)
      const warp = noise.at(u * 2.2, v * 5) * 0.35
      const body = noise.fractal(u * 2.1 + warp, v * 10 + warp * 2, 5)
      const cloud = smoothstep(-0.02, 0.5, body) * smoothstep(0, 0.16, v) * 0.85
      // Lit from below: the side towards the sun is thin and warm, the thick parts stay violet.
      const lit = clamp01(0.25 + glow * 1.5 + (v / HORIZON) * 0.5 - body * 0.9)
      const at = (y * width + x) * 3
      pixels[at] = mix(base[0], mix(84, 255, lit), cloud) + glow * 78
      pixels[at + 1] = mix(base[1], mix(62, 158, lit), cloud) + glow * 50
      pixels[at + 2] = mix(base[2], mix(112, 128, lit), cloud) + glow * 14
    }
  }
}

type RidgeScene = { readonly ridge: Ridge; readonly noise: Noise; readonly horizon: number; readonly seed: number }

function paintRidge(raster: Raster, { ridge, noise, horizon, seed }: RidgeScene): void {
  const { width, height, pixels } = raster
  const crest = crestLine(raster, { ridge, noise, horizon, seed })
  for (let x = 0; x < width; x++) {
    const u = x / height
    for (let y = Math.max(0, Math.floor(crest[x]!)); y < horizon; y++) {
      const at = (y * width + x) * 3
      const edge = clamp01(y - crest[x]! + 1)
      const below = (y - crest[x]!) / height
      const v = y / height
      const mist =
        smoothstep(0.02, 0.26, below) * (1.05 - ridge.clarity) * 1.6 + 0.35 * smoothstep(HORIZON - 0.05, HORIZON, v)
      const color = rockAt(ridge, noise, { u, v, below, seed })
      const haze = skyRamp(0.46 + (v / HORIZON) * 0.24)
      const clarity = clamp01(ridge.clarity * (1 - mist)) * edge
      const glow = glowAt(u, v) * (1.2 - ridge.clarity) * 70 * edge
      const far = 1 - edge
      pixels[at] = pixels[at]! * far + mix(haze[0] * edge, color[0], clarity) + glow
      pixels[at + 1] = pixels[at + 1]! * far + mix(haze[1] * edge, color[1], clarity) + glow * 0.6
      pixels[at + 2] = pixels[at + 2]! * far + mix(haze[2] * edge, color[2], clarity) + glow * 0.3
    }
  }
}

type RockPoint = { readonly u: number; readonly v: number; readonly below: number; readonly seed: number }

function rockAt({ color, snow, trees }: Ridge, noise: Noise, { u, v, below, seed }: RockPoint): Rgb {
  if (trees > 0) {
    const leaves = 1 + noise.at(u * 260 + seed, v * 120) * 0.16
    return [color[0] * leaves, color[1] * leaves, color[2] * leaves]
  }
  // Bent coordinates make gullies run down the slope instead of straight.
  const bend = noise.at(u * 6 + seed, v * 6) * 0.05
  const relief = noise.ridged((u + bend) * 13 + seed, (v - bend) * 8, 5)
  const towardsSun = noise.ridged((u + bend + 0.005) * 13 + seed, (v - bend - 0.004) * 8, 5)
  const light = clamp01(0.42 + (relief - towardsSun) * 5.5)
  const covered = snow * smoothstep(0.16, 0.03, below + (0.74 - relief) * 0.55)
  const shade = 0.35 + light * 0.9
  return [
    mix(color[0] * shade, mix(96, 255, light), covered),
    mix(color[1] * shade, mix(88, 190, light), covered),
    mix(color[2] * shade, mix(152, 176, light), covered),
  ]
}

/** Top of the ridge for every column, in pixels from above. */
function crestLine({ width, height }: Raster, { ridge, noise, horizon, seed }: RidgeScene): Float64Array {
  const crest = new Float64Array(width)
  for (let x = 0; x < width; x++) {
    const u = x / height
    const peaks = noise.ridged(u * ridge.frequency + seed * 3.7, seed, 7)
    const rise = ridge.base + ridge.height * clamp01((peaks - 0.4) * 1.9) * (0.75 + 0.25 * noise.at(u * 1.1 + seed, 3))
    crest[x] = horizon - rise * height
  }
  if (ridge.trees > 0) plantTrees(crest, height, ridge.trees, seed)
  return crest
}

function plantTrees(crest: Float64Array, height: number, treeHeight: number, seed: number): void {
  const random = createRandom(seed)
  const ground = Float64Array.from(crest)
  const spacing = treeHeight * height * 0.17
  for (let x = 0; x < crest.length; x += spacing * (0.5 + random())) {
    const tall = treeHeight * height * (0.45 + random() * 0.75)
    const half = tall * (0.16 + random() * 0.06)
    const foot = ground[Math.floor(x)]!
    for (let column = Math.max(0, Math.ceil(x - half)); column <= Math.min(crest.length - 1, x + half); column++) {
      const out = Math.abs(column - x) / half
      const jagged = out + 0.1 * Math.sin(out * 26)
      crest[column] = Math.min(crest[column]!, foot - tall * (1 - jagged))
    }
  }
}

function paintWater({ width, height, pixels }: Raster, noise: Noise, horizon: number): void {
  for (let y = horizon; y < height; y++) {
    const depth = (y - horizon) / (height - horizon)
    const near = 0.04 + depth
    for (let x = 0; x < width; x++) {
      const u = x / height
      const ripple =
        noise.at((u * 9) / near ** 0.8, (depth * 30) / near ** 0.5) * 0.6 +
        noise.at((u * 34) / near, (depth * 95) / near ** 0.6) * 0.4
      const calm = smoothstep(-0.35, 0.4, noise.fractal(u * 1.2 + 4, depth * 6 + 2, 3))
      const strength = (0.004 + depth * 0.034) * (0.35 + calm * 0.65)
      const sourceY = Math.round(horizon - 1 - (y - horizon) * 0.97 + ripple * strength * height)
      const sourceX = Math.round(x + ripple * strength * height * 0.3)
      const from = (Math.max(0, Math.min(horizon - 1, sourceY)) * width + Math.max(0, Math.min(width - 1, sourceX))) * 3
      const at = (y * width + x) * 3
      const tint = 0.16 + depth * 0.3
      const crest = clamp01(ripple * 1.3) * (0.3 + calm) * 18 * (1 - depth * 0.5)
      pixels[at] = mix(pixels[from]! * 0.93, 22, tint) + crest
      pixels[at + 1] = mix(pixels[from + 1]! * 0.93, 34, tint) + crest * 0.8
      pixels[at + 2] = mix(pixels[from + 2]! * 0.96, 66, tint) + crest * 0.9
    }
  }
}

/** Stones and a few pines at the near edge: the darkest tones, so that the distance reads. */
function paintShore(raster: Raster, noise: Noise): void {
  const { width, height, pixels } = raster
  for (let x = 0; x < width; x++) {
    const u = x / height
    const bank = 0.955 - 0.17 * smoothstep(0.55, 0, u) - 0.05 * smoothstep(1.25, 1.5, u)
    const top = (bank - noise.ridged(u * 5, 40, 5) * 0.035 + 0.02) * height
    for (let y = Math.floor(top); y < height; y++) {
      const stone = noise.ridged(u * 22, (y / height) * 40, 4)
      const light = 9 + stone * 16 + Math.max(0, 14 - (y - top)) * 1.6
      const at = (y * width + x) * 3
      pixels[at] = light * 1.12
      pixels[at + 1] = light
      pixels[at + 2] = light * 1.3
    }
  }
  const random = createRandom(23)
  const pines = [0.06, 0.13, 0.19, 0.27, 0.335, 1.44, 1.5].map((u) => ({
    u,
    tall: (u < 1 ? 0.52 - u * 0.95 : 0.24) + random() * 0.12,
  }))
  for (const { u, tall } of pines) paintPine(raster, { u, tall, seed: Math.floor(u * 1000) })
}

function paintPine(
  { width, height, pixels }: Raster,
  { u, tall, seed }: { u: number; tall: number; seed: number },
): void {
  const random = createRandom(seed)
  const foot = (0.9 - 0.1 * smoothstep(0.55, 0, u) + 0.03) * height
  const rows = Math.round(tall * height)
  const centre = u * height
  let left = 0
  let right = 0
  for (let row = 0; row < rows; row++) {
    const down = row / rows
    // Each tier of branches starts narrow and droops outwards; the two sides are uneven.
    const tier = (down * 17 + Math.sin(down * 23 + seed) * 0.5 + 1) % 1
    const reach = tall * height * 0.14 * down ** 0.8 * (0.42 + 0.58 * tier)
    left = mix(left, reach * (0.55 + random() * 0.6), 0.35)
    right = mix(right, reach * (0.55 + random() * 0.6), 0.35)
    const y = Math.round(foot - rows + row)
    if (y >= height) return
    for (let x = Math.max(0, Math.round(centre - left - 2)); x <= Math.min(width - 1, centre + right + 2); x++) {
      const at = (y * width + x) * 3
      const light = 10 + random() * 9
      pixels[at] = light
      pixels[at + 1] = light * 1.1
      pixels[at + 2] = light * 1.7
    }
  }
}
