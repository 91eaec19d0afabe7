import type { Orientation } from '../image/image-metadata.ts'

/** One of the eight ways to lay a rectangle: first mirrored left-right or not, then turned clockwise. */
export type Turn = { readonly flop: boolean; readonly angle: 0 | 90 | 180 | 270 }

export type Size = { readonly width: number; readonly height: number }
export type Rect = Size & { readonly left: number; readonly top: number }

export const noTurn: Turn = { flop: false, angle: 0 }

/** What brings a picture stored with each EXIF orientation (TIFF 6.0, tag 274) upright. */
export const uprightTurns: Readonly<Record<Orientation, Turn>> = {
  1: noTurn,
  2: { flop: true, angle: 0 },
  3: { flop: false, angle: 180 },
  4: { flop: true, angle: 180 },
  5: { flop: true, angle: 270 },
  6: { flop: false, angle: 90 },
  7: { flop: true, angle: 90 },
  8: { flop: false, angle: 270 },
}

/** The turn followed by mirroring; uses F R(a) = R(-a) F for a mirror F and a rotation R. */
export function flipTurn(turn: Turn, flip: { readonly horizontal: boolean; readonly vertical: boolean }): Turn {
  const afterHorizontal: Turn = flip.horizontal ? { flop: !turn.flop, angle: quarter(-turn.angle) } : turn
  if (!flip.vertical) return afterHorizontal
  return { flop: !afterHorizontal.flop, angle: quarter(180 - afterHorizontal.angle) }
}

export function turnedSize(size: Size, turn: Turn): Size {
  return swapsAxes(turn) ? { width: size.height, height: size.width } : { width: size.width, height: size.height }
}

export function swapsAxes(turn: Turn): boolean {
  return turn.angle === 90 || turn.angle === 270
}

/** Where a rectangle of the turned picture (of size `turned`) lies in the picture before the turn. */
export function unturnedRect(rect: Rect, turn: Turn, turned: Size): Rect {
  const right = turned.width - rect.left - rect.width
  const bottom = turned.height - rect.top - rect.height
  const before = turnedSize(turned, turn)
  const size = turnedSize(rect, turn)
  const corner = { 0: [rect.left, rect.top], 90: [rect.top, right], 180: [right, bottom], 270: [bottom, rect.left] }[
    turn.angle
  ]
  const [left = 0, top = 0] = corner
  return { ...size, left: turn.flop ? before.width - left - size.width : left, top }
}

/** The same rectangle after the canvas was mirrored. */
export function flippedRect(
  rect: Rect,
  canvas: Size,
  flip: { readonly horizontal: boolean; readonly vertical: boolean },
): Rect {
  return {
    ...rect,
    left: flip.horizontal ? canvas.width - rect.left - rect.width : rect.left,
    top: flip.vertical ? canvas.height - rect.top - rect.height : rect.top,
  }
}

function quarter(angle: number): Turn['angle'] {
  return ((angle + 720) % 360) as Turn['angle']
}
