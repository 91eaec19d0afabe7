import sharp from 'sharp'
import { AppError } from '../../errors.ts'
import type { ImageMetadata } from '../image/image-metadata.ts'
import type { TransformPlan } from '../planner/transform-plan.ts'
import type { StagePlan } from './apply-operation.ts'
import { applyOperation } from './apply-operation.ts'
import { withOutputColor } from './color-output.ts'
import { decodeFailure } from './decode-failure.ts'
import type { Animation } from './encode.ts'
import { encode } from './encode.ts'
import type { DecodeLimits } from './open-original.ts'
import { openOriginal } from './open-original.ts'
import type { PixelSource } from './raster.ts'
import { rasterSource, renderRaster } from './raster.ts'
import { runStage } from './run-stage.ts'
import { sanitizeSvg } from './sanitize-svg.ts'

/** An encoded picture; `width` and `height` are those of one frame. */
export type ExecutedPlan = {
  readonly body: Buffer
  readonly width: number
  readonly height: number
  readonly frames: number
}

type RenderPlan = Extract<TransformPlan, { kind: 'render' }>

/**
 * Carries out a plan on the bytes of an original. Every metadata block of the original (EXIF, GPS, XMP, IPTC) is gone from
 * whatever was rendered. Throws AppErrors only: `undecodable`, `too_many_pixels`, `render_too_slow`.
 */
export async function executePlan(
  bytes: Buffer,
  metadata: ImageMetadata,
  plan: TransformPlan,
  limits: DecodeLimits,
): Promise<ExecutedPlan> {
  try {
    if (plan.kind === 'passthrough') return passThrough(bytes, metadata, plan)
    return await render(bytes, metadata, plan, limits)
  } catch (error) {
    throw decodeFailure(error)
  }
}

function passThrough(
  bytes: Buffer,
  metadata: ImageMetadata,
  plan: Extract<TransformPlan, { kind: 'passthrough' }>,
): ExecutedPlan {
  const body = plan.sanitize ? sanitizeSvg(bytes) : bytes
  return { body, width: plan.width, height: plan.height, frames: metadata.frames }
}

async function render(
  bytes: Buffer,
  metadata: ImageMetadata,
  plan: RenderPlan,
  limits: DecodeLimits,
): Promise<ExecutedPlan> {
  let source = await openOriginal(bytes, metadata, plan.input, limits)
  const steps = stageSteps(plan, source)
  const last = steps.pop()
  for (const step of steps) {
    source = rasterSource(await renderRaster(await runStage(step.stage, source, step.size), step.size, source.frames))
  }
  const size = last?.size ?? source.size
  const drawn = last ? await runStage(last.stage, source, last.size) : source.open()
  const pipeline = keepsOrientationTag(metadata, plan) ? rasterSource(await renderRaster(drawn, size, 1)).open() : drawn
  const animation = source.frames > 1 ? await animationOf(bytes, source.frames) : undefined
  const timed = pipeline.timeout({ seconds: limits.timeoutSeconds })
  const picture = { animation, isFlattened: plan.operations.some(({ op }) => op === 'flatten') }
  const body = await withOutputColor(timed, plan.color, (colored) => encode(colored, plan.output, picture).toBuffer())
  if (body.length === 0) throw new AppError('internal', { cause: new Error('the encoder returned no bytes') })
  return { body, width: size.width, height: size.height, frames: source.frames }
}

/** libheif turns the EXIF tag that the pixels still carry into a rotation of the AVIF: they must come without one. */
function keepsOrientationTag(metadata: ImageMetadata, plan: RenderPlan): boolean {
  return plan.output.format === 'avif' && metadata.orientation !== 1
}

/** The stages of a plan, each with the size it leads to. */
function stageSteps(plan: RenderPlan, source: PixelSource) {
  let stagePlan: StagePlan = { stages: [], size: source.size }
  const sizes = new Map<number, PixelSource['size']>()
  for (const operation of plan.operations) {
    stagePlan = applyOperation(operation, stagePlan)
    sizes.set(stagePlan.stages.length - 1, stagePlan.size)
  }
  return stagePlan.stages.map((stage, index) => ({ stage, size: sizes.get(index) ?? source.size }))
}

async function animationOf(bytes: Buffer, frames: number): Promise<Animation> {
  const { loop, delay } = await sharp(bytes, { limitInputPixels: false }).metadata()
  return { loop: loop ?? 0, delay: (delay ?? []).slice(0, frames) }
}
