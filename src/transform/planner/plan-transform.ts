import { isSameSize, roundSide, uprightSize } from '../image/geometry.ts'
import type { Size, Window } from '../image/geometry.ts'
import { outputFormats } from '../image/formats.ts'
import type { ImageMetadata, Orientation } from '../image/image-metadata.ts'
import type { Operation } from '../image/operation.ts'
import { triggersRender } from '../params/params.ts'
import type { Params } from '../params/params.ts'
import { chooseFormat, isAnimated } from './choose-format.ts'
import type { ChosenFormat } from './choose-format.ts'
import { boundSize } from './bound-size.ts'
import { chooseQuality, mapQuality } from './choose-quality.ts'
import { enforceLimits } from './enforce-limits.ts'
import type { PlanRequest } from './plan-request.ts'
import type { RenderPlan } from './planned-work.ts'
import { affordableAvifPixels, plannedWork } from './planned-work.ts'
import { rasterizeSvg } from './rasterize-svg.ts'
import { coverOperations, extractOperations, resizeOperations, resolveRect } from './resolve-crop.ts'
import { fillOperations } from './resolve-fill.ts'
import type { Layout } from './resolve-size.ts'
import type { OutputSettings, PlanLimits, TransformPlan } from './transform-plan.ts'
import type { Concession } from './within-budget.ts'
import { withinBudget } from './within-budget.ts'

/** imgix `q` of a lossless picture that is too large to be one. */
const NEARLY_LOSSLESS = 95

/** The original as it is looked at: upright, and the part of it that `rect` names. */
type View = { readonly upright: Size; readonly rect: Window | undefined; readonly source: Size }

/**
 * Decides everything about a rendering from the header of the original: orient, rect, size, flip, fill, encode. What would
 * cost too much is scaled down or written more simply, and says so in `reasons`.
 * Throws AppError `too_many_pixels` or `too_many_frames`, the latter only where all frames would be decoded.
 */
export function planTransform(request: PlanRequest): TransformPlan {
  const { params, metadata } = request
  if (!triggersRender(params)) return passThrough(metadata)
  const upright = uprightSize(intrinsicSize(metadata), orientationOf(request))
  const rect = params.rect && resolveRect(params.rect, upright)
  const view: View = { upright, rect, source: rect ?? upright }
  return withinBudget(
    (concession) => draftPlan(request, view, concession),
    (plan) => plannedWork(plan, metadata),
  )
}

function draftPlan(request: PlanRequest, view: View, concession: Concession): RenderPlan {
  const { params, metadata, limits } = request
  const { upright, rect, source } = view
  const { layout, chosen, frames, reasons } = resolveOutput(request, source, concession)
  const planned = [
    ...orientOperations(orientationOf(request)),
    ...(rect ? extractOperations(rect, upright) : []),
    ...sizeOperations(layout, source, { ...request, isAnimated: frames > 1 }),
    ...flipOperations(params),
    ...enhanceOperations(params),
    ...fillOperations({ layout, params, metadata, format: chosen.format }),
  ]
  const { scale, raster, operations } =
    metadata.format === 'svg'
      ? rasterizeSvg(upright, planned, { maxSide: limits.maxOutputSide, maxPixels: limits.maxPixels })
      : { scale: 1, raster: upright, operations: frames > 1 ? turnLate(planned, upright) : planned }
  enforceLimits(raster, frames, limits)
  return {
    kind: 'render',
    input: { format: metadata.format, frames, scale },
    operations,
    color: params.cs ?? 'origin',
    output: outputSettings(chosen, params, limits),
    width: layout.size.width,
    height: layout.size.height,
    reasons: [chosen.reason, sizeReason(params, source, layout), ...reasons],
  }
}

function passThrough(metadata: ImageMetadata): TransformPlan {
  const { width, height } = uprightSize(intrinsicSize(metadata), metadata.orientation)
  return { kind: 'passthrough', format: metadata.format, sanitize: metadata.format === 'svg', width, height }
}

/** An SVG may name fractions of px, or nothing at all. */
function intrinsicSize(metadata: ImageMetadata): Size {
  return { width: roundSide(metadata.width || 1), height: roundSide(metadata.height || 1) }
}

function orientationOf({ params, metadata }: PlanRequest): Orientation {
  return params.orient ?? metadata.orientation
}

type Output = {
  readonly layout: Layout
  readonly chosen: ChosenFormat
  readonly frames: number
  /** Why it is not what the URL asks for. */
  readonly reasons: readonly string[]
}

/** Format depends on size and, through the frames that are decoded, size on format. */
function resolveOutput(request: PlanRequest, source: Size, concession: Concession): Output {
  const { params, metadata, capabilities, limits } = request
  const still = boundSize(request, source, { frames: 1, concession })
  const outputPixels = still.layout.size.width * still.layout.size.height
  const avifMaxPixels = Math.min(limits.avifMaxPixels, affordableAvifPixels(limits.avifEffort))
  const asked = chooseFormat({ params, metadata, capabilities, outputPixels, avifMaxPixels })
  const { chosen, reasons } = concession.isPlainEncoding ? simplify(asked, params) : { chosen: asked, reasons: [] }
  const isMoving = isAnimated(metadata) && outputFormats[chosen.format].animation
  const frames = isMoving ? metadata.frames : 1
  const { layout, reason } = isMoving ? boundSize(request, source, { frames, concession }) : still
  return { layout, chosen, frames, reasons: reason === undefined ? reasons : [...reasons, reason] }
}

/** Written so that it takes a fraction of the time, at the same size. */
function simplify(chosen: ChosenFormat, params: Params): { chosen: ChosenFormat; reasons: readonly string[] } {
  if (chosen.png === 'palette') {
    return { chosen: { ...chosen, png: 'plain' }, reasons: ['Too large for a palette, so all colours are kept.'] }
  }
  if (chosen.format === 'webp' && params.lossless) {
    return { chosen: { ...chosen, isLossy: true }, reasons: ['Too large for lossless, so nearly lossless.'] }
  }
  return { chosen, reasons: [] }
}

function orientOperations(orientation: Orientation): readonly Operation[] {
  return orientation === 1 ? [] : [{ op: 'orient', orientation }]
}

function sizeOperations(
  layout: Layout,
  source: Size,
  { params, limits, isAnimated }: PlanRequest & { readonly isAnimated: boolean },
): readonly Operation[] {
  switch (layout.kind) {
    case 'resize':
      return resizeOperations(source, layout.size)
    case 'contain':
      return resizeOperations(source, layout.scaled)
    case 'cover':
      return coverOperations({
        source,
        size: layout.size,
        cut: layout.cut,
        params,
        isAnimated,
        maxSide: Math.max(limits.maxOutputSide, source.width, source.height),
      })
  }
}

/** Turning happens frame by frame in memory, so animations are made smaller before they are turned. */
function turnLate(operations: readonly Operation[], upright: Size): readonly Operation[] {
  const [turn, resize, ...rest] = operations
  if (turn?.op !== 'orient' || resize?.op !== 'resize') return operations
  if (resize.width * resize.height >= upright.width * upright.height) return operations
  return [{ op: 'resize', ...uprightSize(resize, turn.orientation) }, turn, ...rest]
}

function flipOperations({ flip }: Params): readonly Operation[] {
  return flip ? [{ op: 'flip', horizontal: flip !== 'v', vertical: flip !== 'h' }] : []
}

function enhanceOperations({ auto }: Params): readonly Operation[] {
  return auto?.includes('enhance') ? [{ op: 'enhance' }] : []
}

function outputSettings({ format, png, isLossy }: ChosenFormat, params: Params, limits: PlanLimits): OutputSettings {
  switch (format) {
    case 'avif':
      return { format, quality: chooseQuality(format, params), effort: limits.avifEffort }
    case 'webp': {
      const lossless = (params.lossless ?? false) && !isLossy
      const quality = isLossy ? mapQuality(format, NEARLY_LOSSLESS) : chooseQuality(format, params)
      return { format, quality, effort: limits.webpEffort, lossless }
    }
    case 'jpeg':
      return { format, quality: chooseQuality(format, params), progressive: true, mozjpeg: limits.mozjpeg }
    case 'png':
      return { format, palette: png === 'palette', alpha: png === 'alpha' ? 'force' : 'keep' }
    case 'gif':
      return { format }
  }
}

function sizeReason(params: Params, source: Size, layout: Layout): string {
  const show = ({ width, height }: Size): string => `${String(width)}x${String(height)}`
  const fit = `fit=${params.fit ?? 'clip'}`
  if (isSameSize(source, layout.size)) return `${fit}: ${show(source)} keeps its size.`
  const verb = { resize: 'scaled to', cover: 'scaled and cut to', contain: 'placed on a canvas of' }[layout.kind]
  return `${fit}: ${show(source)} is ${verb} ${show(layout.size)}.`
}
