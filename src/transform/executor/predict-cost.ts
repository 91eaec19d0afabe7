import type { InputFormat } from '../image/formats.ts'
import type { ImageMetadata } from '../image/image-metadata.ts'
import type { OutputSettings, TransformPlan } from '../planner/transform-plan.ts'
import { executorLimits } from './executor-limits.ts'
import { jpegShrinkOf } from './shared-decode.ts'

/** Predicted time of one thread, in ms, by what has to be done: decode, draw (resize and the like), encode. */
export type PredictedCost = { readonly decodeMs: number; readonly drawMs: number; readonly encodeMs: number }

/**
 * ms per million pixels of the original. Measured on one thread of a 2-core x86-64 machine with sharp 0.35.5; what other
 * machines differ by is corrected while running.
 */
const decodeMsPerMegapixel: Readonly<Record<InputFormat, number>> = {
  jpeg: 4,
  png: 12,
  webp: 9,
  gif: 8,
  avif: 16,
  heic: 110,
  tiff: 3,
  svg: 12,
}

/** A JPEG is read whole (8 ms per MB), then only as many pixels are computed as the shrink leaves. */
const jpegMsPerMB = 8
const jpegMsPerMegapixel = { 1: 4, 2: 1.6, 4: 1, 8: 0.5 } as const

/** ms per million pixels of the result. */
const encodeMsPerMegapixel: Readonly<Record<OutputSettings['format'], number>> = {
  avif: 42,
  webp: 20,
  jpeg: 12,
  png: 55,
  gif: 150,
}
/** By encoder effort, from effort 0; docs/quality.md chose the ones in use. */
const avifEffortFactors = [1, 2.4, 6.5, 10.7, 45, 60, 80, 110, 150, 200]
const webpEffortFactors = [1, 1.2, 1.5, 1.9, 2.4, 3, 8]
const mozjpegFactor = 5
const paletteFactor = 3
const drawMsPerMegapixel = 7
/** Probe, messages and what else every job costs. */
const fixedMs = 4
/** For an original of which nothing is known but its length: a JPEG made 800 px wide. */
const unknownFixedMs = 20
const unknownMsPerMB = 20

const bytesPerMB = 1_000_000

/** What a plan will cost on an original of which the header is known. Pure. */
export function predictCost(metadata: ImageMetadata, plan: TransformPlan): PredictedCost {
  if (plan.kind === 'passthrough') return { decodeMs: 0, drawMs: 0, encodeMs: fixedMs }
  const frames = Math.min(metadata.frames, plan.input.frames)
  const inputMegapixels = (metadata.width * metadata.height * frames * plan.input.scale ** 2) / 1e6
  const shrink = metadata.format === 'jpeg' ? jpegShrinkOf(metadata, plan) : 1
  const outputMegapixels = (plan.width * plan.height * frames) / 1e6
  const drawnMegapixels = outputMegapixels + (0.1 * inputMegapixels) / shrink ** 2
  return {
    decodeMs:
      metadata.format === 'jpeg'
        ? (metadata.byteLength / bytesPerMB) * jpegMsPerMB + inputMegapixels * jpegMsPerMegapixel[shrink]
        : inputMegapixels * decodeMsPerMegapixel[metadata.format],
    drawMs: drawnMegapixels * drawMsPerMegapixel,
    encodeMs: fixedMs + outputMegapixels * encodeMsPerMegapixel[plan.output.format] * effortFactor(plan.output),
  }
}

/** As `predictCost`, before the header has been read. Pure. */
export function predictUnknownCost(byteLength: number): PredictedCost {
  return { decodeMs: (byteLength / bytesPerMB) * unknownMsPerMB, drawMs: 0, encodeMs: unknownFixedMs }
}

function effortFactor(output: OutputSettings): number {
  switch (output.format) {
    case 'avif':
      return avifEffortFactors[output.effort] ?? 1
    case 'webp':
      return webpEffortFactors[output.effort] ?? 1
    case 'jpeg':
      return output.mozjpeg ? mozjpegFactor : 1
    case 'png':
      return output.palette ? paletteFactor : 1
    case 'gif':
      return 1
  }
}

/** Learns by how much renders of a kind take longer or shorter than predicted. */
export interface CostCorrection {
  factor(kind: string): number
  learn(kind: string, predictedMs: number, actualMs: number): void
}

/** The kinds are pairs of formats, so that few are ever learnt. */
export function createCostCorrection(): CostCorrection {
  const factors = new Map<string, number>()
  const { correctionWeight, maxCorrection } = executorLimits
  const factor = (kind: string): number => factors.get(kind) ?? 1
  return {
    factor,
    learn(kind, predictedMs, actualMs) {
      if (!(predictedMs > 0)) return
      const ratio = Math.min(maxCorrection, Math.max(1 / maxCorrection, actualMs / predictedMs))
      factors.set(kind, factor(kind) * (1 - correctionWeight) + ratio * correctionWeight)
    },
  }
}
