/** sRGB colour, channels 0..255, alpha 0..1. */
export type Color = { readonly r: number; readonly g: number; readonly b: number; readonly alpha: number }
