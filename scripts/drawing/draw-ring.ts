import { clamp01, createRaster, smoothstep } from './raster.ts'
import type { Raster } from './raster.ts'

/** A glossy ring of all hues with soft edges and a translucent shadow: real alpha, from 0 to 255. */
export function drawRing(side: number): Raster {
  const raster = createRaster(side, side, 4)
  const { pixels } = raster
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const u = (x + 0.5) / side - 0.5
      const v = (y + 0.5) / side - 0.48
      const shadow = 0.5 * Math.exp(-(((Math.hypot(u, v - 0.05) - RADIUS) / 0.075) ** 2))
      paintRingPixel(pixels, (y * side + x) * 4, { u, v, shadow, softness: 1.5 / side })
    }
  }
  return raster
}

const RADIUS = 0.3
const THICKNESS = 0.105

type RingPoint = { readonly u: number; readonly v: number; readonly shadow: number; readonly softness: number }

function paintRingPixel(pixels: Uint8ClampedArray, at: number, { u, v, shadow, softness }: RingPoint): void {
  const away = Math.hypot(u, v)
  const across = (away - RADIUS) / THICKNESS
  const cover = smoothstep(softness, -softness, Math.abs(away - RADIUS) - THICKNESS)
  const height = Math.sqrt(Math.max(0, 1 - across * across))
  const [nx, ny] = [(u / (away || 1)) * across, (v / (away || 1)) * across]
  const key = clamp01(nx * -0.45 + ny * -0.6 + height * 0.66)
  const half = clamp01(nx * -0.25 + ny * -0.34 + height * 0.91)
  const rim = (1 - height) ** 3 * clamp01(0.4 + nx * 0.5 + ny * 0.6) * 70
  const shine = half ** 60 * 210 + half ** 9 * 34 + rim
  const alpha = cover + (1 - cover) * shadow
  const hue = Math.atan2(v, u) / (2 * Math.PI) + across * 0.05
  for (let channel = 0; channel < 3; channel++) {
    const wave = 0.5 + 0.5 * Math.cos(2 * Math.PI * (hue - channel / 3))
    const light = (36 + 214 * wave ** 0.8) * (0.28 + key * 0.84) + shine
    // Straight alpha: the colour under the shadow is a deep blue, weighed against the ring's.
    pixels[at + channel] = alpha === 0 ? 0 : (light * cover + [14, 16, 44][channel]! * (1 - cover) * shadow) / alpha
  }
  pixels[at + 3] = alpha * 255
}
