import type { Color } from '../image/color.ts'
import { transparent } from '../image/color.ts'
import { clamp, roundHalfUp } from '../image/geometry.ts'
import { nearestAspect } from './aspect-steps.ts'
import type { Params } from './params.ts'
import type { Rect } from './rect-type.ts'
import { MAX_SIDE } from './value-types.ts'
import type { Length } from './value-types.ts'

type Ladder = readonly number[]

export type Ladders = { readonly widths: Ladder; readonly qualities: Ladder }

/** Densities and shares that are left where they cannot be folded into px. */
const dprSteps: Ladder = [0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 5]
const shareSteps: Ladder = [0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 1]
const zoomSteps: Ladder = [1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50, 100]
/** Parts of a picture, in shares of its sides. */
const POSITIONS = 20
/** Px of a rect keep this many parts of their power of two, so they move by at most 7 %. */
const PX_PARTS = 8
const MAX_RECT_PX = 65_536
/** 16 levels of each channel, 5 of alpha. */
const CHANNEL_STEP = 17
const ALPHA_STEPS = 5

/** Params that concern the size and are moved together. */
const sizeNames = ['w', 'h', 'dpr', 'ar', 'max-w', 'max-h', 'min-w', 'min-h'] as const

/**
 * Moves every value to a step of its kind, so that the number of variants is bounded whatever is asked for. Widths and
 * qualities move to the configured ladders: to the smallest step that is enough, else to the largest. dpr is folded into w
 * and h, so that `w=320&dpr=2` and `w=640` are one variant; w leads, and h follows by the nearest aspect. Limits in px
 * follow in proportion, and on to the ladder. All else moves to the nearest step.
 */
export function snapParams(params: Params, { widths, qualities }: Ladders): Params {
  const sized = isFoldable(params) ? foldSizes(params, widths) : snapShares(params, widths)
  const { q, ar, rect, bg, 'fill-color': fillColor, 'fp-x': x, 'fp-y': y, 'fp-z': zoom } = params
  return {
    ...sized,
    ...(q !== undefined && { q: nextStep(qualities, q) }),
    ...(ar && { ar: nearestAspect(ar) ?? ar }),
    ...(rect && { rect: snapRect(rect) }),
    ...(bg && { bg: snapColor(bg) }),
    ...(fillColor && { 'fill-color': snapColor(fillColor) }),
    ...(x !== undefined && { 'fp-x': snapPosition(x) }),
    ...(y !== undefined && { 'fp-y': snapPosition(y) }),
    ...(zoom !== undefined && { 'fp-z': nearest(zoomSteps, zoom) }),
  }
}

/** As `snapParams`, but values that do not come from the URL are the operator's, and stay: `named` lists those that do. */
export function snapNamed(params: Params, named: readonly string[], ladders: Ladders): Params {
  const isSizeNamed = sizeNames.some((name) => named.includes(name))
  const isMoved = (name: string): boolean =>
    sizeNames.some((size) => size === name) ? isSizeNamed : named.includes(name)
  const kept = Object.entries(params).filter(([name]) => !isMoved(name))
  const moved = Object.entries(snapParams(params, ladders)).filter(([name]) => isMoved(name))
  return Object.fromEntries([...kept, ...moved])
}

function nextStep(ladder: Ladder, wanted: number): number {
  const steps = ladder.toSorted((a, b) => a - b)
  return steps.find((step) => step >= wanted) ?? steps.at(-1) ?? wanted
}

function nearest(ladder: Ladder, wanted: number): number {
  const distance = (step: number): number => Math.abs(step - wanted)
  return ladder.reduce((best, step) => (distance(step) < distance(best) ? step : best))
}

/** Steps below 2 px cannot be told from shares, and larger ones than the cap are cut anyway. */
function stepPx(widths: Ladder, wanted: number): number {
  return clamp(nextStep(widths, wanted), 2, MAX_SIDE)
}

function isFoldable({ w, h }: Params): boolean {
  return (w ?? h) !== undefined && w?.unit !== 'share' && h?.unit !== 'share'
}

function foldSizes({ dpr, ...params }: Params, widths: Ladder): Params {
  const { w, h } = params
  const leading = (w ?? h)?.value ?? 1
  const target = stepPx(widths, roundHalfUp(leading * (dpr ?? 1)))
  const px = (value: number): Length => ({ unit: 'px', value })
  return {
    ...params,
    ...(w && { w: px(target) }),
    ...(h && { h: px(w ? heightFor(target, { width: w.value, height: h.value }) : target) }),
    ...snapLimits(params, (value) => stepPx(widths, roundHalfUp((value * target) / leading))),
  }
}

/** The height of the nearest aspect whose height is one of a picture. */
function heightFor(width: number, wanted: { readonly width: number; readonly height: number }): number {
  const height = (aspect: typeof wanted): number => roundHalfUp((width * aspect.height) / aspect.width)
  const aspect = nearestAspect(wanted, (step) => height(step) >= 2 && height(step) <= MAX_SIDE)
  return aspect ? height(aspect) : width
}

function snapLimits(params: Params, snap: (value: number) => number): Params {
  const limits = ['max-w', 'max-h', 'min-w', 'min-h'] as const
  return Object.fromEntries(
    limits.flatMap((name) => {
      const value = params[name]
      return value === undefined ? [] : [[name, snap(value)] as const]
    }),
  )
}

function snapShares(params: Params, widths: Ladder): Params {
  const side = (length: Length): Length =>
    length.unit === 'share'
      ? { unit: 'share', value: nextStep(shareSteps, length.value) }
      : { unit: 'px', value: stepPx(widths, length.value) }
  return {
    ...params,
    ...(params.w && { w: side(params.w) }),
    ...(params.h && { h: side(params.h) }),
    ...(params.dpr !== undefined && { dpr: nextStep(dprSteps, params.dpr) }),
    ...snapLimits(params, (value) => stepPx(widths, value)),
  }
}

function snapPosition(share: number): number {
  return roundHalfUp(share * POSITIONS) / POSITIONS
}

/** Which px are which shares only the original would tell, so px have steps of their own. */
function snapRect({ x, y, width, height }: Rect): Rect {
  const length = ({ unit, value }: Length, least: number): Length =>
    unit === 'px' ? { unit, value: snapRectPx(value) } : { unit, value: Math.max(least, snapPosition(value)) }
  const offset = <Word extends string>(at: Length | Word): Length | Word =>
    typeof at === 'string' ? at : startOf(length(at, 0))
  const least = 1 / POSITIONS
  return { x: offset(x), y: offset(y), width: length(width, least), height: length(height, least) }
}

/** An offset of nothing has one spelling. */
function startOf(offset: Length): Length {
  return offset.value === 0 ? { unit: 'px', value: 0 } : offset
}

function snapRectPx(value: number): number {
  if (value < PX_PARTS) return value
  const capped = Math.min(value, MAX_RECT_PX)
  const step = 2 ** Math.floor(Math.log2(capped)) / PX_PARTS
  return roundHalfUp(capped / step) * step
}

function snapColor({ r, g, b, alpha }: Color): Color {
  const level = (channel: number): number => roundHalfUp(channel / CHANNEL_STEP) * CHANNEL_STEP
  const opacity = roundHalfUp(alpha * ALPHA_STEPS) / ALPHA_STEPS
  return opacity === 0 ? transparent : { r: level(r), g: level(g), b: level(b), alpha: opacity }
}
