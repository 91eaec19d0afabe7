import type { InputFormat } from '../image/formats.ts'
import type { Operation } from '../image/operation.ts'

/** How the picture is written. Qualities and efforts are the encoder's own numbers, already mapped from `q`. */
export type OutputSettings =
  | { readonly format: 'avif'; readonly quality: number; readonly effort: number }
  | { readonly format: 'webp'; readonly quality: number; readonly effort: number; readonly lossless: boolean }
  | { readonly format: 'jpeg'; readonly quality: number; readonly progressive: boolean; readonly mozjpeg: boolean }
  | { readonly format: 'png'; readonly palette: boolean; readonly alpha: 'keep' | 'force' }
  | { readonly format: 'gif' }

/** imgix `cs`: which colour space the output is converted to and whether a profile tag is written. */
export type OutputColor = 'srgb' | 'tinysrgb' | 'adobergb1998' | 'origin' | 'strip'

/** Everything a renderer needs, as plain JSON; survives `JSON.stringify`. Made by `planTransform`, obeyed by `executePlan`. */
export type TransformPlan =
  | {
      /** Send the original untouched (an SVG sanitised). */
      readonly kind: 'passthrough'
      readonly format: InputFormat
      readonly sanitize: boolean
      readonly width: number
      readonly height: number
    }
  | {
      readonly kind: 'render'
      readonly input: {
        readonly format: InputFormat
        /** Frames to decode, from the first: 1 for a still output, all for an animated one. */
        readonly frames: number
        /** SVG only: rasterise at this multiple of the intrinsic size. */
        readonly scale: number
      }
      readonly operations: readonly Operation[]
      readonly color: OutputColor
      readonly output: OutputSettings
      /** Size of the result (of one frame), px. */
      readonly width: number
      readonly height: number
      /** Why this format and size, one short sentence each, for `halftone explain`. */
      readonly reasons: readonly string[]
    }

/** Limits and qualities the planner works within; a frozen section of the configuration. */
export type PlanLimits = {
  /** Largest side of any output, px (8192 as imgix has it). */
  readonly maxOutputSide: number
  /** Above this many output pixels AVIF gives way to WebP. */
  readonly avifMaxPixels: number
  readonly avifEffort: number
  readonly webpEffort: number
  readonly mozjpeg: boolean
  readonly maxPixels: number
  readonly maxFrames: number
}
