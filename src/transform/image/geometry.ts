import type { Orientation } from './image-metadata.ts'

/** Px; fractions only while the arithmetic is under way. */
export type Size = { readonly width: number; readonly height: number }

export type Window = Size & { readonly left: number; readonly top: number }

/** Binary fractions such as 0.07 * 50 land just below the half that was meant. */
const NOISE = 1e-9

/** Nearest integer, halves up, as imgix rounds sizes: 66.5 -> 67. */
export function roundHalfUp(value: number): number {
  return Math.floor(value + 0.5 + NOISE)
}

/** A side in whole px, never less than one. */
export function roundSide(value: number): number {
  return Math.max(1, roundHalfUp(value))
}

export function roundSize(size: Size): Size {
  return { width: roundSide(size.width), height: roundSide(size.height) }
}

export function scaleSize(size: Size, factor: number): Size {
  return { width: size.width * factor, height: size.height * factor }
}

export function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high)
}

export function isSameSize(a: Size, b: Size): boolean {
  return a.width === b.width && a.height === b.height
}

/** Size as seen once the picture stands upright: codes 5 to 8 lie on their side. */
export function uprightSize(size: Size, orientation: Orientation): Size {
  return orientation >= 5 ? { width: size.height, height: size.width } : { width: size.width, height: size.height }
}

/** The part of `window` inside a picture of `size`; undefined when nothing is left. */
export function intersectWindow(window: Window, size: Size): Window | undefined {
  const left = Math.max(0, window.left)
  const top = Math.max(0, window.top)
  const width = Math.min(window.left + window.width, size.width) - left
  const height = Math.min(window.top + window.height, size.height) - top
  return width >= 1 && height >= 1 ? { left, top, width, height } : undefined
}

/** Whole-px window of `size` centred on a point and pushed inside `bounds`; `size` must fit into `bounds`. */
export function windowAround(point: { readonly x: number; readonly y: number }, size: Size, bounds: Size): Window {
  return {
    left: clamp(roundHalfUp(point.x - size.width / 2), 0, bounds.width - size.width),
    top: clamp(roundHalfUp(point.y - size.height / 2), 0, bounds.height - size.height),
    width: size.width,
    height: size.height,
  }
}
