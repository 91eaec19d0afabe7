import type { Size } from '../image/geometry.ts'
import type { ImageMetadata } from '../image/image-metadata.ts'
import type { Operation } from '../image/operation.ts'
import type { OutputColor, OutputSettings, TransformPlan } from './transform-plan.ts'

export type RenderPlan = Extract<TransformPlan, { kind: 'render' }>

/** What a single URL may cost. A plan that would cost more gives way: see `withinBudget`. */
export const workLimits = {
  /**
   * Drawing and encoding, in ms of the machine the weights were measured on. Leaves 8192 x 8192 of JPEG or WebP, 30
   * megapixels of PNG and 10 of GIF. Reading the original comes on top and is bounded by maxPixels and maxFrames.
   */
  maxWorkMs: 4000,
  /** Enlarging adds no detail: a raster original becomes no larger than this, or than it is. 5000 px of a 3:2 photo. */
  maxEnlargedPixels: 16_000_000,
  /** All frames of a result together: 160 MB as pixels, of which a renderer may hold two or three copies. */
  maxAnimatedPixels: 40_000_000,
} as const

/**
 * ms of one thread per million pixels, on a 2-core x86-64 machine with sharp 0.35.5 and one libvips thread, for a photo with
 * much detail (4608 x 3456, at 12 megapixels). Noise takes up to three times as long, flat pictures half.
 * These bound the worst a URL can ask for; `predictCost` of the executor orders jobs by what is usual.
 */
const drawWeights = {
  /** An SVG of usual complexity and each layer it is put together from; deadline and memory ceiling bound the others. */
  rasterize: 25,
  layer: 35,
  resize: 25,
  crop: { entropy: 9, attention: 2 },
  extend: { blur: 53, color: 3, edge: 3 },
  enhance: 65,
} as const
const convertWeight = 10
const encodeWeights = {
  jpeg: 16,
  mozjpeg: 49,
  webp: 33,
  /** At q 100; animations take as long at any quality. */
  webpFine: 55,
  webpLossless: 900,
  png: 105,
  pngAlpha: 156,
  pngPalette: 300,
  gif: 370,
  /** Frames that still have the palette of a GIF original. */
  gifPalette: 200,
  avif: 50,
} as const
/** Encoder qualities above this count as `webpFine`. */
const fineQuality = 85
/** By encoder effort: WebP from effort 2, AVIF from effort 0. */
const webpEfforts = [0.6, 0.8, 1, 1.8, 2.8, 3.5, 4.2]
const losslessEfforts = [0.5, 0.8, 1, 1, 1.1, 1.2, 1.4]
const avifEfforts = [1, 2.4, 6.5, 10.7, 45, 60, 80, 110, 150, 200]

/** What drawing and encoding a plan will take, in ms of the measuring machine, for a picture with much detail. */
export function plannedWork(plan: RenderPlan, metadata: ImageMetadata): number {
  return drawingWork(plan, metadata) + encodingWork(plan, metadata)
}

/** All that is done to the pixels before they are encoded, ms. */
export function drawingWork(plan: RenderPlan, metadata: ImageMetadata): number {
  const area = (size: Size): number => megapixels(plan, size)
  const { scale } = plan.input
  const rasterize = drawWeights.rasterize + (metadata.layers ?? 0) * drawWeights.layer
  let drawn = metadata.format === 'svg' ? area(metadata) * scale ** 2 * rasterize : 0
  let size: Size = { width: metadata.width * scale, height: metadata.height * scale }
  for (const [index, operation] of plan.operations.entries()) {
    const from = size
    size = sizeAfter(operation, from)
    // libvips computes only the part of a scaled picture that is cut out of it.
    const next = plan.operations[index + 1]
    const computed = operation.op === 'resize' && next?.op === 'extract' ? next : operation.op === 'crop' ? from : size
    drawn += area(computed) * drawWeight(operation, from)
  }
  return drawn
}

/** What a drawing that is at hand still takes: colours and the encoder, ms. */
export function encodingWork(plan: RenderPlan, metadata: ImageMetadata): number {
  const keepsPalette = metadata.format === 'gif' && plan.operations.every(({ op }) => paletteOperations.has(op))
  const weight = colorWeight(plan.color) + encodeWeight(plan.output, plan.input.frames > 1, keepsPalette)
  return megapixels(plan, plan) * weight
}

/** Of all frames together. */
function megapixels(plan: RenderPlan, { width, height }: Size): number {
  return (width * height * plan.input.frames) / 1e6
}

const paletteOperations: ReadonlySet<Operation['op']> = new Set(['resize', 'extract', 'flip'])

function sizeAfter(operation: Operation, { width, height }: Size): Size {
  switch (operation.op) {
    case 'resize':
    case 'extract':
    case 'crop':
      return { width: operation.width, height: operation.height }
    case 'extend': {
      const { top, right, bottom, left } = operation
      return { width: width + left + right, height: height + top + bottom }
    }
    case 'orient':
      return operation.orientation >= 5 ? { width: height, height: width } : { width, height }
    case 'flip':
    case 'flatten':
    case 'enhance':
      return { width, height }
  }
}

function drawWeight(operation: Operation, from: Size): number {
  switch (operation.op) {
    case 'resize':
      // An SVG was drawn at this size already, but for a rounding.
      return Math.abs(operation.width - from.width) < 1 && Math.abs(operation.height - from.height) < 1
        ? 0
        : drawWeights.resize
    case 'crop':
      return drawWeights.crop[operation.strategy]
    case 'extend':
      return drawWeights.extend[operation.fill.kind]
    case 'enhance':
      return drawWeights.enhance
    case 'orient':
    case 'extract':
    case 'flip':
    case 'flatten':
      return 0
  }
}

function colorWeight(color: OutputColor): number {
  return color === 'origin' || color === 'strip' ? 0 : convertWeight
}

function encodeWeight(output: OutputSettings, isMoving: boolean, keepsPalette: boolean): number {
  switch (output.format) {
    case 'jpeg':
      return output.mozjpeg ? encodeWeights.mozjpeg : encodeWeights.jpeg
    case 'webp': {
      if (output.lossless) return encodeWeights.webpLossless * (losslessEfforts[output.effort] ?? 1)
      const isFine = isMoving || output.quality > fineQuality
      return (isFine ? encodeWeights.webpFine : encodeWeights.webp) * (webpEfforts[output.effort] ?? 1)
    }
    case 'png':
      if (output.palette) return encodeWeights.pngPalette
      return output.alpha === 'force' ? encodeWeights.pngAlpha : encodeWeights.png
    case 'gif':
      return keepsPalette ? encodeWeights.gifPalette : encodeWeights.gif
    case 'avif':
      return avifWeight(output.effort)
  }
}

function avifWeight(effort: number): number {
  return encodeWeights.avif * (avifEfforts[effort] ?? 1)
}

/** Pixels of AVIF that can be scaled and encoded with this effort; above it AVIF gives way to WebP. */
export function affordableAvifPixels(effort: number): number {
  return (workLimits.maxWorkMs / (drawWeights.resize + avifWeight(effort))) * 1e6
}
