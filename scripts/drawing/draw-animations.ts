import { clamp01, createRamp, createRaster, mix, smoothstep } from './raster.ts'
import type { Raster, Rgb } from './raster.ts'

const dotRamp = createRamp([
  [0, [56, 40, 120]],
  [0.35, [196, 44, 124]],
  [0.7, [255, 124, 72]],
  [1, [255, 224, 132]],
])

/** Frames stacked into one tall picture, as sharp takes them (`pageHeight`); the last flows into the first. */
export function drawHalftoneFrames(side: number, frames: number): Raster {
  const cells = 20
  return drawFrames({ width: side, height: side, frames }, ({ x, phase }) => {
    const column = Math.floor((x / side) * cells) + 0.5
    return (y) => {
      const row = Math.floor((y / side) * cells) + 0.5
      const fromCentre = Math.hypot(column - cells / 2, row - cells / 2)
      const wave = 0.5 + 0.5 * Math.sin(fromCentre * 0.85 - phase)
      const radius = (0.1 + 0.38 * wave) * smoothstep(cells * 0.62, cells * 0.36, fromCentre)
      const inCell = Math.hypot((x / side) * cells - column, (y / side) * cells - row)
      const cover = clamp01((radius - inCell) * (side / cells) + 0.5)
      // Few steps of colour: a GIF has 256, and the edges of the dots need most of them.
      const color = dotRamp(Math.round(wave * 7) / 7)
      return [mix(17, color[0], cover), mix(14, color[1], cover), mix(38, color[2], cover)]
    }
  })
}

/** Northern lights: only soft gradients, which is what WebP is good at. */
export function drawAuroraFrames(size: { width: number; height: number }, frames: number): Raster {
  return drawFrames({ ...size, frames }, ({ x, phase }) => {
    const u = x / size.width
    const [low, middle, high] = [curtainAt(u, phase, 0), curtainAt(u, phase, 1), curtainAt(u, phase, 2)]
    const hilltop = 0.83 - 0.05 * Math.sin(u * 5 + 1) - 0.02 * Math.sin(u * 17)
    return (y) => {
      const v = y / size.height
      const night = 1 - smoothstep(0, 0.006, v - hilltop) * 0.92
      const [green, teal, violet] = [lightOf(low, v), lightOf(middle, v), lightOf(high, v)]
      return [
        (8 + v * 26 + green * 70 + teal * 40 + violet * 150) * night,
        (12 + v * 40 + green * 220 + teal * 190 + violet * 60) * night,
        (38 + v * 46 + green * 120 + teal * 190 + violet * 190) * night,
      ]
    }
  })
}

type Curtain = { readonly foot: number; readonly rays: number }

function curtainAt(u: number, phase: number, index: number): Curtain {
  const sway = 0.1 * Math.sin(u * (4 + index * 1.7) + phase + index * 2) + 0.05 * Math.sin(u * 11 - phase + index)
  const rays = 0.72 + 0.28 * Math.sin(u * (34 + index * 9) + Math.sin(phase + index * 2) * 1.4)
  return { foot: 0.6 - index * 0.1 + sway, rays }
}

function lightOf({ foot, rays }: Curtain, v: number): number {
  return v > foot + 0.05 ? 0 : smoothstep(foot + 0.05, foot - 0.02, v) * Math.exp((v - foot) * 5.5) * rays
}

type Film = { readonly width: number; readonly height: number; readonly frames: number }
type Column = { readonly x: number; readonly phase: number }

/** Column by column, so that what does not depend on the height is worked out once. */
function drawFrames({ width, height, frames }: Film, columnOf: (column: Column) => (y: number) => Rgb): Raster {
  const raster = createRaster(width, height * frames)
  for (let frame = 0; frame < frames; frame++) {
    const phase = (frame / frames) * 2 * Math.PI
    for (let x = 0; x < width; x++) {
      const colorAt = columnOf({ x, phase })
      for (let y = 0; y < height; y++) {
        const color = colorAt(y)
        const at = ((frame * height + y) * width + x) * 3
        raster.pixels[at] = color[0]
        raster.pixels[at + 1] = color[1]
        raster.pixels[at + 2] = color[2]
      }
    }
  }
  return raster
}
