import { clamp, roundSide, roundSize, scaleSize } from '../image/geometry.ts'
import type { Size } from '../image/geometry.ts'
import type { FitMode } from '../params/fit-type.ts'
import type { Params } from '../params/params.ts'
import type { Length } from '../params/value-types.ts'

/** How the picture gets its size; all sides are whole px. */
export type Layout =
  /** Scaled to this size, nothing cut, nothing added. */
  | { readonly kind: 'resize'; readonly size: Size }
  /** Scaled to cover this size, the rest cut off: where `crop` says, or in the middle. */
  | { readonly kind: 'cover'; readonly size: Size; readonly cut: 'crop' | 'centre' }
  /** Scaled to `scaled` and centred on a canvas that is at least as large. */
  | { readonly kind: 'contain'; readonly scaled: Size; readonly size: Size; readonly gap: 'fill' | 'edge' }

export type OutputBounds = { readonly maxSide: number; readonly maxPixels: number }

/** The box in device px; a missing side is undefined. */
type Box = { readonly width: number | undefined; readonly height: number | undefined }

type Request = {
  /** The picture after orientation and rect. */
  readonly source: Size
  readonly box: Box
  readonly params: Params
  /** The picture as it comes out when the URL gives no size: dpr below 1 shrinks it, above 1 changes nothing. */
  readonly unsized: Size
}

/** One row per mode, as in the imgix table; sizes may have fractions, `boundLayout` rounds them. */
const modes: Readonly<Record<FitMode, (request: Request) => Layout>> = {
  clip: (request) => resize(scaleToBox(request)),
  max: (request) => resize(shrinkToBox(request)),
  scale: (request) => resize(bothSides(request.box) ?? scaleToBox(request)),
  crop: (request) => ({ kind: 'cover', size: cropBox(request), cut: 'crop' }),
  min: (request) => {
    const box = bothSides(request.box)
    return box ? { kind: 'cover', size: shrinkBox(box, request.source), cut: 'centre' } : resize(shrinkToBox(request))
  },
  fill: (request) => {
    const canvas = bothSides(request.box) ?? aspectCanvas(request)
    return canvas ? contain(scaleToBox(request), canvas, 'fill') : resize(scaleToBox(request))
  },
  fillmax: (request) => contain(shrinkToBox(request), bothSides(request.box) ?? scaleToBox(request), 'fill'),
  clamp: (request) => {
    const canvas = bothSides(request.box)
    return canvas ? contain(scaleToBox(request), canvas, 'edge') : resize(scaleToBox(request))
  },
}

/** The size of the result for a picture of `source` (upright, after rect), never beyond `bounds` and never 0. */
export function resolveSize(source: Size, params: Params, bounds: OutputBounds): Layout {
  const dpr = params.dpr ?? 1
  const box = { width: resolveSide(params.w, source.width, dpr), height: resolveSide(params.h, source.height, dpr) }
  const unsized = scaleSize(source, Math.min(1, dpr))
  return boundLayout(modes[params.fit ?? 'clip']({ source, box, params, unsized }), bounds)
}

function resolveSide(length: Length | undefined, sourceSide: number, dpr: number): number | undefined {
  if (length === undefined) return undefined
  return roundSide(length.value * dpr * (length.unit === 'share' ? sourceSide : 1))
}

function bothSides({ width, height }: Box): Size | undefined {
  return width === undefined || height === undefined ? undefined : { width, height }
}

/** Largest size of the source's aspect inside the box, enlarged if need be. */
function scaleToBox({ source, box, unsized }: Request): Size {
  const factor = boxFactor(source, box)
  return factor === undefined ? unsized : scaleSize(source, factor)
}

/** The same without enlarging. */
function shrinkToBox({ source, box, unsized }: Request): Size {
  const factor = boxFactor(source, box)
  return factor === undefined ? unsized : scaleSize(source, Math.min(1, factor))
}

function boxFactor(source: Size, { width, height }: Box): number | undefined {
  if (width === undefined && height === undefined) return undefined
  return Math.min((width ?? Infinity) / source.width, (height ?? Infinity) / source.height)
}

/** fit=min: the box's aspect, but no side beyond the source. */
function shrinkBox(box: Size, source: Size): Size {
  return scaleSize(box, Math.min(1, source.width / box.width, source.height / box.height))
}

/** fit=crop: a missing side comes from `ar` or the source's aspect and keeps within min and max. */
function cropBox({ source, box, params, unsized }: Request): Size {
  const given = bothSides(box)
  if (given) return given
  const aspect = aspectOf(params) ?? source.width / source.height
  const derived = (box.width ?? box.height) ? sidesOf(box, aspect) : innerBox(unsized, aspect)
  const dpr = params.dpr ?? 1
  // Whole px, so that limits mean the same whether dpr was folded into them or not.
  const device = (limit: number): number => (limit === Infinity ? limit : roundSide(limit * dpr))
  const limit = (side: number, min: number | undefined, max: number | undefined): number =>
    clamp(side, min ? device(min) : 0, device(Math.max(min ?? 0, max ?? Infinity)))
  return {
    width: box.width ?? limit(derived.width, params['min-w'], params['max-w']),
    height: box.height ?? limit(derived.height, params['min-h'], params['max-h']),
  }
}

/** fit=fill with `ar`: the missing side, or a frame around the whole picture. */
function aspectCanvas({ box, params, unsized }: Request): Size | undefined {
  const aspect = aspectOf(params)
  if (aspect === undefined) return undefined
  return (box.width ?? box.height) ? sidesOf(box, aspect) : outerBox(unsized, aspect)
}

function aspectOf({ ar }: Params): number | undefined {
  return ar && ar.width / ar.height
}

function sidesOf({ width, height }: Box, aspect: number): Size {
  if (width !== undefined) return { width, height: width / aspect }
  return { width: (height ?? 1) * aspect, height: height ?? 1 }
}

function innerBox(size: Size, aspect: number): Size {
  const isWider = size.width / size.height > aspect
  return isWider
    ? sidesOf({ width: undefined, height: size.height }, aspect)
    : sidesOf({ ...size, height: undefined }, aspect)
}

function outerBox(size: Size, aspect: number): Size {
  const isWider = size.width / size.height > aspect
  return isWider
    ? sidesOf({ ...size, height: undefined }, aspect)
    : sidesOf({ width: undefined, height: size.height }, aspect)
}

function resize(size: Size): Layout {
  return { kind: 'resize', size }
}

function contain(scaled: Size, size: Size, gap: 'fill' | 'edge'): Layout {
  return { kind: 'contain', scaled, size, gap }
}

/** Scales a result that is too large down as a whole, and rounds. */
function boundLayout(layout: Layout, { maxSide, maxPixels }: OutputBounds): Layout {
  const { width, height } = layout.size
  const factor = Math.min(1, maxSide / width, maxSide / height, Math.sqrt(maxPixels / (width * height)))
  const size = roundSize(scaleSize(layout.size, factor))
  if (layout.kind !== 'contain') return { ...layout, size }
  const scaled = roundSize(scaleSize(layout.scaled, factor))
  // Rounding up by half a px must not push the picture over the edge of its canvas.
  const inside = { width: Math.min(scaled.width, size.width), height: Math.min(scaled.height, size.height) }
  return { ...layout, size, scaled: inside }
}
