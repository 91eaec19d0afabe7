import { roundHalfUp } from '../image/geometry.ts'
import type { Reading, ValueType } from './define-param.ts'
import { readDecimal } from './value-types.ts'
import type { Length } from './value-types.ts'

/** No picture is larger; keeps numbers in plain notation. */
const MAX_RECT_PX = 1e9

/**
 * A region of the source; keywords align the region, shares are of the source. `left`, `top` and `full` are read as the
 * lengths they stand for.
 */
export type Rect = {
  readonly x: Length | 'center' | 'right'
  readonly y: Length | 'middle' | 'bottom'
  readonly width: Length
  readonly height: Length
}

/** A rect of which some parts may have been unreadable. */
type Draft = { readonly [Part in keyof Rect]: Rect[Part] | undefined }

const start: Length = { unit: 'px', value: 0 }
const all: Length = { unit: 'share', value: 1 }

export function rectType(): ValueType<Rect> {
  return {
    expected:
      'x,y,w,h in px or shares with a decimal point; x also left, center, right, y top, middle, bottom, w and h full',
    range: 'x,y,w,h',
    read: (text): Reading<Rect> | undefined => {
      const parts = text.toLowerCase().split(',', 5)
      const [x, y, width, height] = parts.map((part) => part.trim())
      if (parts.length !== 4 || !x || !y || !width || !height) return undefined
      const rect: Draft = {
        x: x === 'center' || x === 'right' ? x : x === 'left' ? start : readOffset(x),
        y: y === 'middle' || y === 'bottom' ? y : y === 'top' ? start : readOffset(y),
        width: readExtent(width),
        height: readExtent(height),
      }
      return isRect(rect) ? { value: rect, exact: true } : undefined
    },
    format: (rect) =>
      [formatOffset(rect.x), formatOffset(rect.y), formatExtent(rect.width), formatExtent(rect.height)].join(','),
  }
}

/** Shares carry a decimal point, which tells `1.0` (all) from `1` (one px). */
function readLength(text: string): Length | undefined {
  const value = readDecimal(text)
  if (value === undefined) return undefined
  if (text.includes('.') && value <= 1) return { unit: 'share', value }
  return { unit: 'px', value: Math.min(roundHalfUp(value), MAX_RECT_PX) }
}

function readOffset(text: string): Length | undefined {
  const offset = readLength(text)
  return offset?.value === 0 ? start : offset
}

function readExtent(text: string): Length | undefined {
  if (text === 'full') return all
  const extent = readLength(text)
  return extent?.value === 0 ? undefined : extent
}

function isRect(rect: Draft): rect is Rect {
  return Object.values(rect).every((part) => part !== undefined)
}

function formatOffset(offset: Length | string): string {
  if (typeof offset === 'string') return offset
  const digits = String(offset.value)
  return offset.unit === 'share' && !digits.includes('.') ? `${digits}.0` : digits
}

function formatExtent(extent: Length): string {
  return extent.unit === 'share' && extent.value === 1 ? 'full' : formatOffset(extent)
}
