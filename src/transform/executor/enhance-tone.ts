import type { Sharp } from 'sharp'
import type { Raster } from './raster.ts'
import { rasterSource } from './raster.ts'

/** Darkest and brightest share of pixels that may clip. */
const clipShare = 0.005
/** A flat or foggy picture is lifted by no more than this, or it turns into noise. */
const maxGain = 1.3
const saturation = 1.1
/** Pixels looked at for the histogram. */
const samples = 65_536

/** auto=enhance: stretches the tones between two percentiles, gently, and lifts saturation a little. */
export function enhanceTone(raster: Raster): Sharp {
  const { dark, bright } = toneRange(raster)
  const gain = Math.min(maxGain, 255 / Math.max(1, bright - dark))
  // The middle of the used range moves only as far as the gain needs.
  const offset = Math.max(255 - bright * gain, Math.min(-dark * gain, 0))
  const pipeline = rasterSource(raster).open().linear(gain, offset)
  return raster.channels >= 3 ? pipeline.modulate({ saturation }) : pipeline
}

/** The luma percentiles of the visible pixels. */
function toneRange(raster: Raster): { dark: number; bright: number } {
  const { pixels, channels } = raster
  const histogram = new Uint32Array(256)
  const hasAlpha = channels === 2 || channels === 4
  const step = Math.max(1, Math.floor(pixels.length / channels / samples)) * channels
  let counted = 0
  for (let at = 0; at + channels <= pixels.length; at += step) {
    if (hasAlpha && pixels[at + channels - 1] === 0) continue
    const luma = channels < 3 ? (pixels[at] ?? 0) : lumaAt(pixels, at)
    histogram[luma] = (histogram[luma] ?? 0) + 1
    counted++
  }
  if (counted === 0) return { dark: 0, bright: 255 }
  return { dark: percentile(histogram, counted * clipShare), bright: percentile(histogram, counted * (1 - clipShare)) }
}

/** BT.709 luma, 0..255. */
function lumaAt(pixels: Buffer, at: number): number {
  return Math.round(0.2126 * (pixels[at] ?? 0) + 0.7152 * (pixels[at + 1] ?? 0) + 0.0722 * (pixels[at + 2] ?? 0))
}

function percentile(histogram: Uint32Array, rank: number): number {
  let seen = 0
  for (const [value, count] of histogram.entries()) {
    seen += count
    if (seen > rank) return value
  }
  return 255
}
