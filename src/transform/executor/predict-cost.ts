import type { InputFormat } from '../image/formats.ts'
import type { ImageMetadata } from '../image/image-metadata.ts'
import { drawingWork, encodingWork } from '../planner/planned-work.ts'
import type { TransformPlan } from '../planner/transform-plan.ts'
import { executorLimits } from './executor-limits.ts'
import { shrinkingOf } from './shared-decode.ts'

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
  // Drawn, not decoded.
  svg: 0,
}

/** A JPEG is read whole (8 ms per MB), then only as many pixels are computed as the shrink leaves. */
const jpegMsPerMB = 8
const jpegMsPerMegapixel = { 1: 4, 2: 1.6, 4: 1, 8: 0.5 } as const

/** Planned work is that of pictures with much detail; most photographs take this share of it. */
const usualShare = 0.75
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
  const { shrink } = shrinkingOf(metadata, plan)
  return {
    decodeMs:
      metadata.format === 'jpeg'
        ? (metadata.byteLength / bytesPerMB) * jpegMsPerMB + inputMegapixels * jpegMsPerMegapixel[shrink]
        : inputMegapixels * decodeMsPerMegapixel[metadata.format],
    drawMs: drawingWork(plan, metadata) * usualShare,
    encodeMs: fixedMs + encodingWork(plan, metadata) * usualShare,
  }
}

/** All of it, uncorrected, so that it stays the same for the same plan. Pure. */
export function predictWork(metadata: ImageMetadata, plan: TransformPlan): number {
  const { decodeMs, drawMs, encodeMs } = predictCost(metadata, plan)
  return decodeMs + drawMs + encodeMs
}

/** As `predictCost`, before the header has been read. Pure. */
export function predictUnknownCost(byteLength: number): PredictedCost {
  return { decodeMs: (byteLength / bytesPerMB) * unknownMsPerMB, drawMs: 0, encodeMs: unknownFixedMs }
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
