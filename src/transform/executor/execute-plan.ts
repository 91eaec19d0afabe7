import sharp from 'sharp'
import { AppError } from '../../errors.ts'
import type { ImageMetadata } from '../image/image-metadata.ts'
import type { TransformPlan } from '../planner/transform-plan.ts'
import { withOutputColor } from './color-output.ts'
import { decodeFailure } from './decode-failure.ts'
import { decodeShared } from './decode-shared.ts'
import type { Animation } from './encode.ts'
import { encode } from './encode.ts'
import type { DecodeLimits } from './open-original.ts'
import { openOriginal } from './open-original.ts'
import { stageSteps } from './plan-stages.ts'
import type { PixelSource, Raster } from './raster.ts'
import { rasterSource, renderRaster } from './raster.ts'
import { drawStage, runStage } from './run-stage.ts'
import { sanitizeSvg } from './sanitize-svg.ts'
import { sharedDecodeOf, sharedDrawingOf, shrinkingOf } from './shared-decode.ts'

/**
 * Where the pixels came from: straight from the original, or by way of pictures that several variants share. `unfiled`: from the whole
 * decode, because no file could be made of an original that the decoder should have halved.
 */
export type Sharing = 'none' | 'unfiled' | 'built' | 'decoded' | 'drawn'

/** What is worth keeping while a plan is carried out: the finished drawing, and the decode that it starts from. */
export type Keep = { readonly decode: boolean; readonly drawing: boolean }

/** An encoded picture; `width` and `height` are those of one frame. */
export type ExecutedPlan = {
  readonly body: Buffer
  readonly width: number
  readonly height: number
  readonly frames: number
  readonly sharing: Sharing
}

/** Pictures of this original that earlier plans left behind. They change what a plan costs, never what it gives. */
export type SharedPictures = {
  readonly get: (name: string) => Raster | undefined
  readonly keep: (name: string, raster: Raster) => void
  /** Which pictures more variants are expected to want, so that making them pays. */
  readonly building: Keep
  readonly maxBytes: number
}

type RenderPlan = Extract<TransformPlan, { kind: 'render' }>
type Original = { readonly bytes: Buffer; readonly metadata: ImageMetadata; readonly shared: SharedPictures }

const nothingShared: SharedPictures = {
  get: () => undefined,
  keep: () => undefined,
  building: { decode: false, drawing: false },
  maxBytes: 0,
}

/**
 * Carries out a plan on the bytes of an original. Every metadata block of the original (EXIF, GPS, XMP, IPTC) is gone from
 * whatever was rendered. Throws AppErrors only: `undecodable`, `too_many_pixels`, `render_too_slow`.
 */
export async function executePlan(
  bytes: Buffer,
  metadata: ImageMetadata,
  plan: TransformPlan,
  limits: DecodeLimits & { readonly shared?: SharedPictures },
): Promise<ExecutedPlan> {
  try {
    if (plan.kind === 'passthrough') return passThrough(bytes, metadata, plan)
    return await render({ bytes, metadata, shared: limits.shared ?? nothingShared }, plan, limits)
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
  return { body, width: plan.width, height: plan.height, frames: metadata.frames, sharing: 'none' }
}

async function render(original: Original, plan: RenderPlan, limits: DecodeLimits): Promise<ExecutedPlan> {
  const { source, sharing } = await drawShared(original, plan, limits)
  const { size, frames } = source
  const animation = frames > 1 ? await animationOf(original.bytes, frames) : undefined
  const timed = source.open().timeout({ seconds: limits.timeoutSeconds })
  const picture = { animation, isFlattened: plan.operations.some(({ op }) => op === 'flatten') }
  const body = await withOutputColor(timed, plan.color, (colored) => encode(colored, plan.output, picture).toBuffer())
  if (body.length === 0) throw new AppError('internal', { cause: new Error('the encoder returned no bytes') })
  return { body, width: size.width, height: size.height, frames, sharing }
}

type Drawing = { readonly source: PixelSource; readonly sharing: Sharing }

/** The finished picture, kept for further formats and qualities of it where that gives the same bytes. */
async function drawShared(original: Original, plan: RenderPlan, limits: DecodeLimits): Promise<Drawing> {
  const { metadata, shared } = original
  const name = sharedDrawingOf(metadata, plan)
  const kept = name === undefined ? undefined : shared.get(name)
  if (kept) return { source: rasterSource(kept), sharing: 'drawn' }
  const drawing = await draw(original, plan, limits)
  if (name === undefined || !shared.building.drawing) return drawing
  const raster = await renderRaster(drawing.source.open(), drawing.source.size, 1)
  shared.keep(name, raster)
  return { ...drawing, source: rasterSource(raster) }
}

async function draw(original: Original, plan: RenderPlan, limits: DecodeLimits): Promise<Drawing> {
  const opened = await openShared(original, plan, limits)
  let { source } = opened
  const steps = stageSteps(plan, source.size)
  const last = steps.pop()
  for (const { stage, size } of steps) source = await drawStage(stage, source, size)
  const size = last?.size ?? source.size
  const drawn = last ? await runStage(last.stage, source, size) : source.open()
  if (keepsOrientationTag(original.metadata, plan)) {
    return { ...opened, source: rasterSource(await renderRaster(drawn, size, 1)) }
  }
  return { ...opened, source: { open: () => drawn, size, frames: source.frames, raster: undefined } }
}

/** The original as the first stage wants it: from a decode that is kept, or that is worth keeping, or from its bytes. */
async function openShared(original: Original, plan: RenderPlan, limits: DecodeLimits): Promise<Drawing> {
  const { bytes, metadata, shared } = original
  const decode = sharedDecodeOf(metadata, plan, shared.maxBytes)
  const kept = decode && shared.get(decode.name)
  const isKeeping = decode !== undefined && !kept && shared.building.decode
  const { shrink, isEarly } = shrinkingOf(metadata, plan)
  const built = !kept && (isKeeping || isEarly) ? await decodeShared(original, plan.input, shrink, limits) : undefined
  if (isKeeping && built) shared.keep(decode.name, built)
  const raster = kept ?? built
  if (!raster) {
    const source = await openOriginal(bytes, metadata, plan.input, limits)
    return { source, sharing: isEarly ? 'unfiled' : 'none' }
  }
  const { width, height } = metadata
  const isWhole = shrink === 1
  // Stages reckon in px of the original, also when the decoder has shrunk it: what follows is a resize to a given size.
  const source = {
    open: rasterSource(raster).open,
    size: { width, height },
    frames: 1,
    raster: isWhole ? raster : undefined,
  }
  if (kept) return { source, sharing: 'decoded' }
  return { source, sharing: isKeeping ? 'built' : 'none' }
}

/** libheif turns the EXIF tag that the pixels still carry into a rotation of the AVIF: they must come without one. */
function keepsOrientationTag(metadata: ImageMetadata, plan: RenderPlan): boolean {
  return plan.output.format === 'avif' && metadata.orientation !== 1
}

async function animationOf(bytes: Buffer, frames: number): Promise<Animation> {
  const { loop, delay } = await sharp(bytes, { limitInputPixels: false }).metadata()
  return { loop: loop ?? 0, delay: (delay ?? []).slice(0, frames) }
}
