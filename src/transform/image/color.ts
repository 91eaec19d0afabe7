import cssColors from 'color-name'

/** sRGB colour, channels 0..255, alpha 0..1. */
export type Color = { readonly r: number; readonly g: number; readonly b: number; readonly alpha: number }

export const white: Color = { r: 255, g: 255, b: 255, alpha: 1 }
export const transparent: Color = { r: 255, g: 255, b: 255, alpha: 0 }

type Channels = readonly [number, number, number]

/** CSS names and the two of imgix, whose exact values are not published. Keys are lower case. */
const keywords: ReadonlyMap<string, Channels> = new Map<string, Channels>([
  ...Object.entries(cssColors),
  ['imgixorange', [247, 148, 29]],
  ['imgixblue', [59, 156, 217]],
])

const HEX = /^(?:[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})$/

/**
 * Reads an imgix colour: a CSS keyword, or hex digits RGB, ARGB, RRGGBB, AARRGGBB. Alpha comes first, unlike in CSS.
 * A leading `#` is tolerated. Undefined when the text is none of these.
 */
export function parseColor(text: string): Color | undefined {
  const name = text.toLowerCase()
  if (name === 'transparent') return transparent
  const channels = keywords.get(name)
  if (channels) return { r: channels[0], g: channels[1], b: channels[2], alpha: 1 }
  const digits = name.startsWith('#') ? name.slice(1) : name
  return HEX.test(digits) ? readHex(digits) : undefined
}

function readHex(digits: string): Color {
  const long = digits.length > 4 ? digits : digits.replaceAll(/./g, '$&$&')
  const value = Number.parseInt(long, 16)
  const alpha = long.length === 8 ? Math.floor(value / 0x1000000) / 255 : 1
  // What cannot be seen has no colour: one spelling for all of them.
  if (alpha === 0) return transparent
  return { r: (value >> 16) & 255, g: (value >> 8) & 255, b: value & 255, alpha }
}

/** The one spelling of a colour: `rrggbb`, or `aarrggbb` when it is not opaque. */
export function formatColor(color: Color): string {
  const hex = (value: number): string => Math.round(value).toString(16).padStart(2, '0')
  const rgb = hex(color.r) + hex(color.g) + hex(color.b)
  return color.alpha === 1 ? rgb : hex(color.alpha * 255) + rgb
}

/** Lays `top` over an opaque `bottom`; the result is opaque. */
export function blendColors(top: Color, bottom: Color): Color {
  const mix = (over: number, under: number): number => Math.round(over * top.alpha + under * (1 - top.alpha))
  return { r: mix(top.r, bottom.r), g: mix(top.g, bottom.g), b: mix(top.b, bottom.b), alpha: 1 }
}
