import {
  intersectWindow,
  isSameSize,
  roundHalfUp,
  roundSide,
  roundSize,
  scaleSize,
  windowAround,
} from '../image/geometry.ts'
import type { Size, Window } from '../image/geometry.ts'
import type { Operation } from '../image/operation.ts'
import { centreCrop } from '../params/crop-type.ts'
import type { Crop } from '../params/crop-type.ts'
import type { Params } from '../params/params.ts'
import type { Rect } from '../params/rect-type.ts'
import type { Length } from '../params/value-types.ts'

/** The part of the picture that `rect` names, cut at its edges; undefined when nothing of it lies inside. */
export function resolveRect(rect: Rect, size: Size): Window | undefined {
  const width = sideOf(rect.width, size.width)
  const height = sideOf(rect.height, size.height)
  const left = offsetOf(rect.x, size.width, width)
  const top = offsetOf(rect.y, size.height, height)
  return intersectWindow({ left, top, width, height }, size)
}

function sideOf(length: Length, whole: number): number {
  return length.unit === 'px' ? length.value : roundSide(length.value * whole)
}

function offsetOf(offset: Rect['x'] | Rect['y'], whole: number, side: number): number {
  if (offset === 'center' || offset === 'middle') return roundHalfUp((whole - side) / 2)
  if (offset === 'right' || offset === 'bottom') return whole - side
  return offset.unit === 'px' ? offset.value : roundHalfUp(offset.value * whole)
}

export type CoverRequest = {
  /** The picture so far. */
  readonly source: Size
  /** What is to be covered, whole px. */
  readonly size: Size
  readonly cut: 'crop' | 'centre'
  readonly params: Params
  /** Frames must be cut alike, so content-aware crops become centred ones. */
  readonly isAnimated: boolean
  /** No picture on the way may have a longer side. */
  readonly maxSide: number
}

/** Operations that scale the picture to cover `size` and cut off the rest. */
export function coverOperations(request: CoverRequest): readonly Operation[] {
  const { source, size, params } = request
  const crop = request.cut === 'crop' ? (params.crop ?? centreCrop) : centreCrop
  const zoom = crop.kind === 'focalpoint' ? (params['fp-z'] ?? 1) : 1
  const factor = Math.max(size.width / source.width, size.height / source.height)
  const covering = roundSize(scaleSize(source, factor))
  const scaled = { width: Math.max(covering.width, size.width), height: Math.max(covering.height, size.height) }

  if (zoom > 1 || Math.max(scaled.width, scaled.height) > request.maxSide) {
    const wanted = roundSize(scaleSize(size, 1 / factor / zoom))
    const part = { width: Math.min(wanted.width, source.width), height: Math.min(wanted.height, source.height) }
    return [...extractOperations(cutWindow(crop, params, part, source), source), ...resizeOperations(part, size)]
  }
  const scaling = resizeOperations(source, scaled)
  if (isSameSize(scaled, size)) return scaling
  if ((crop.kind === 'entropy' || crop.kind === 'edges') && !request.isAnimated) {
    return [...scaling, { op: 'crop', ...size, strategy: crop.kind === 'entropy' ? 'entropy' : 'attention' }]
  }
  return [...scaling, ...extractOperations(cutWindow(crop, params, size, scaled), scaled)]
}

function cutWindow(crop: Crop, params: Params, size: Size, bounds: Size): Window {
  const share = cutCentre(crop, params)
  return windowAround({ x: share.x * bounds.width, y: share.y * bounds.height }, size, bounds)
}

/** Where the middle of the window should be, as shares of the picture; it is pushed inside afterwards. */
function cutCentre(crop: Crop, params: Params): { x: number; y: number } {
  if (crop.kind === 'focalpoint') return { x: params['fp-x'] ?? 0.5, y: params['fp-y'] ?? 0.5 }
  if (crop.kind !== 'anchor') return { x: 0.5, y: 0.5 }
  return {
    x: crop.x === 'left' ? 0 : crop.x === 'right' ? 1 : 0.5,
    y: crop.y === 'top' ? 0 : crop.y === 'bottom' ? 1 : 0.5,
  }
}

export function extractOperations(window: Window, source: Size): readonly Operation[] {
  return isSameSize(window, source) ? [] : [{ op: 'extract', ...window }]
}

export function resizeOperations(source: Size, size: Size): readonly Operation[] {
  return isSameSize(source, size) ? [] : [{ op: 'resize', width: size.width, height: size.height }]
}
