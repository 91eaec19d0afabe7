import type { InputFormat } from '../image/formats.ts'
import type { ImageMetadata } from '../image/image-metadata.ts'
import type { TransformPlan } from '../planner/transform-plan.ts'
import { stageSteps } from './plan-stages.ts'

type RenderPlan = Extract<TransformPlan, { kind: 'render' }>

/** The factor by which the JPEG decoder itself shrinks, at a fraction of the cost of a whole decode. */
export type JpegShrink = 1 | 2 | 4 | 8

/** A decode that several variants of one original start from; `name` tells those of one original apart. */
export type SharedDecode = { readonly name: string; readonly shrink: JpegShrink; readonly bytes: number }

// WebP is scaled while it is decoded and SVG is drawn at its final size: there is no picture that two sizes share.
const decodedWhole: ReadonlySet<InputFormat> = new Set(['jpeg', 'png', 'gif', 'tiff', 'avif', 'heic'])
// What is 8 bits a channel in sRGB once decoded; others keep more than a raster can hold.
const plainColorSpaces: ReadonlySet<string> = new Set(['srgb', 'b-w', 'cmyk'])
// PNG and GIF are left out because PNG carries the density of the original, which a raster does not.
const sharingOutputs: ReadonlySet<string> = new Set(['avif', 'webp', 'jpeg'])

/**
 * The decode that sharp would start this plan from, if a kept copy gives the very same bytes; undefined when it does not,
 * or when it is larger than `maxBytes`. Sharing therefore never shows in a result. Pure.
 */
export function sharedDecodeOf(
  metadata: ImageMetadata,
  plan: TransformPlan,
  maxBytes: number,
): SharedDecode | undefined {
  if (plan.kind !== 'render' || !isPlain(metadata, plan) || !decodedWhole.has(metadata.format)) return undefined
  const { shrink } = shrinkingOf(metadata, plan)
  const pixels = Math.ceil(metadata.width / shrink) * Math.ceil(metadata.height / shrink)
  const bytes = pixels * (metadata.hasAlpha ? 4 : 3)
  return bytes <= maxBytes ? { name: `decoded/${shrink}`, shrink, bytes } : undefined
}

/** Names the finished picture before it is encoded, which variants that differ only in format or quality share. Pure. */
export function sharedDrawingOf(metadata: ImageMetadata, plan: TransformPlan): string | undefined {
  if (plan.kind !== 'render' || !isPlain(metadata, plan)) return undefined
  if (plan.output.format === 'jpeg' && mayBeTranslucent(metadata, plan)) return undefined
  return `drawn/${JSON.stringify([plan.input.scale, plan.operations])}`
}

/** For JPEG the encoder lays such pictures on white, which sharp does before it resizes: a drawing would come too late. */
function mayBeTranslucent(metadata: ImageMetadata, plan: RenderPlan): boolean {
  if (metadata.hasAlpha) return true
  return plan.operations.some((step) => step.op === 'extend' && step.fill.kind === 'color' && step.fill.color.alpha < 1)
}

function isPlain(metadata: ImageMetadata, plan: RenderPlan): boolean {
  const isUntagged = plan.color === 'origin' || plan.color === 'strip'
  const isStill = metadata.frames === 1 && plan.input.frames === 1
  return isStill && isUntagged && plainColorSpaces.has(metadata.colorSpace) && sharingOutputs.has(plan.output.format)
}

/**
 * Sharp decodes a JPEG whole down to a third of its size. That is a third to two fifths of the time of a desktop's variant of a
 * camera's picture, and such pictures are halved by the decoder from this factor on, as smaller variants are; what is left to scale is
 * no less than sharp leaves after its other shrinks. Scored in docs/decisions/shared-decode.md.
 */
const halvedEarlyFrom = 2.5
/** Pixels of the original. Below (a camera of 8 megapixels gives 7.99) little would be saved; above, the half is held in memory (48 MB), where a whole decode passes through. */
const halvedEarlyPixels = { least: 7.5e6, most: 64e6 }

/** By how much the decoder shrinks, and whether sharp alone would not have asked it to. */
export type Shrinking = { readonly shrink: JpegShrink; readonly isEarly: boolean }

/** 1 for all but JPEG. Nothing but the original and the plan decides. Pure. */
export function shrinkingOf(metadata: ImageMetadata, plan: RenderPlan): Shrinking {
  if (metadata.format !== 'jpeg') return { shrink: 1, isEarly: false }
  const factor = firstReduction(metadata, plan)
  const shrink = shrinkOfSharp(factor)
  const pixels = metadata.width * metadata.height
  const isInside = pixels >= halvedEarlyPixels.least && pixels <= halvedEarlyPixels.most
  const isEarly = shrink === 1 && factor >= halvedEarlyFrom && isInside && isPlain(metadata, plan)
  return { shrink: isEarly ? 2 : shrink, isEarly }
}

/** How often the picture of the first step fits into the original; 1 where sharp's decoder may not shrink. */
function firstReduction(metadata: ImageMetadata, plan: RenderPlan): number {
  const [first] = stageSteps(plan, metadata)
  if (first?.stage.kind !== 'geometry' || first.stage.before || !first.stage.resize) return 1
  const { width, height } = first.stage.resize
  return Math.min(metadata.width / width, metadata.height / height)
}

/** The rule of sharp 0.35 (pipeline.cc, "shrink-on-load"); tests hold that the bytes agree. */
function shrinkOfSharp(factor: number): JpegShrink {
  if (factor >= 8) return factor < 9 ? 4 : 8
  if (factor >= 4) return factor < 5 ? 2 : 4
  return factor >= 3 ? 2 : 1
}
