import { isSameSize, roundSide, uprightSize } from '../image/geometry.ts'
import type { Size } from '../image/geometry.ts'
import { outputFormats } from '../image/formats.ts'
import type { ImageMetadata, Orientation } from '../image/image-metadata.ts'
import type { Operation } from '../image/operation.ts'
import type { Capabilities } from '../negotiation/capabilities.ts'
import { triggersRender } from '../params/params.ts'
import type { Params } from '../params/params.ts'
import { chooseFormat, isAnimated } from './choose-format.ts'
import type { ChosenFormat } from './choose-format.ts'
import { chooseQuality } from './choose-quality.ts'
import { enforceLimits } from './enforce-limits.ts'
import { rasterizeSvg } from './rasterize-svg.ts'
import { coverOperations, extractOperations, resizeOperations, resolveRect } from './resolve-crop.ts'
import { fillOperations } from './resolve-fill.ts'
import { resolveSize } from './resolve-size.ts'
import type { Layout } from './resolve-size.ts'
import type { OutputSettings, PlanLimits, TransformPlan } from './transform-plan.ts'

export type PlanRequest = {
  readonly params: Params
  readonly metadata: ImageMetadata
  /** Narrowed to these params by `narrowCapabilities`. */
  readonly capabilities: Capabilities
  readonly limits: PlanLimits
}

/**
 * Decides everything about a rendering from the header of the original: orient, rect, size, flip, fill, encode.
 * Throws AppError `too_many_pixels` or `too_many_frames`, the latter only where all frames would be decoded.
 */
export function planTransform(request: PlanRequest): TransformPlan {
  const { params, metadata, limits } = request
  if (!triggersRender(params)) return passThrough(metadata)

  const upright = uprightSize(intrinsicSize(metadata), orientationOf(request))
  const rect = params.rect && resolveRect(params.rect, upright)
  const source: Size = rect ?? upright
  const { layout, chosen, frames } = resolveOutput(request, source)

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
      : { scale: 1, raster: upright, operations: planned }
  enforceLimits(raster, frames, limits)
  return {
    kind: 'render',
    input: { format: metadata.format, frames, scale },
    operations,
    color: params.cs ?? 'origin',
    output: outputSettings(chosen, params, limits),
    width: layout.size.width,
    height: layout.size.height,
    reasons: [chosen.reason, sizeReason(params, source, layout)],
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

/** Format depends on size and, through the frames that are decoded, size on format. */
function resolveOutput(request: PlanRequest, source: Size): { layout: Layout; chosen: ChosenFormat; frames: number } {
  const { params, metadata, capabilities, limits } = request
  const boundsFor = (frames: number) => ({ maxSide: limits.maxOutputSide, maxPixels: limits.maxPixels / frames })
  const layout = resolveSize(source, params, boundsFor(1))
  const outputPixels = layout.size.width * layout.size.height
  const chosen = chooseFormat({ params, metadata, capabilities, outputPixels, avifMaxPixels: limits.avifMaxPixels })
  const isMoving = isAnimated(metadata) && outputFormats[chosen.format].animation
  if (!isMoving) return { layout, chosen, frames: 1 }
  return { layout: resolveSize(source, params, boundsFor(metadata.frames)), chosen, frames: metadata.frames }
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

function flipOperations({ flip }: Params): readonly Operation[] {
  return flip ? [{ op: 'flip', horizontal: flip !== 'v', vertical: flip !== 'h' }] : []
}

function enhanceOperations({ auto }: Params): readonly Operation[] {
  return auto?.includes('enhance') ? [{ op: 'enhance' }] : []
}

function outputSettings({ format, png }: ChosenFormat, params: Params, limits: PlanLimits): OutputSettings {
  switch (format) {
    case 'avif':
      return { format, quality: chooseQuality(format, params), effort: limits.avifEffort }
    case 'webp': {
      const quality = chooseQuality(format, params)
      return { format, quality, effort: limits.webpEffort, lossless: params.lossless ?? false }
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
