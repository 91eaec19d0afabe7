import type { InputFormat } from './formats.ts'

/** EXIF orientation codes 1..8. */
export type Orientation = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8

/** What the header of an original says; nothing has been decoded. */
export type ImageMetadata = {
  readonly format: InputFormat
  /** Stored size in px of one frame, before orientation; for SVG the intrinsic size at 72 dpi. */
  readonly width: number
  readonly height: number
  readonly orientation: Orientation
  readonly hasAlpha: boolean
  /** Number of frames, 1 for a still picture. */
  readonly frames: number
  /** libvips interpretation: srgb, cmyk, b-w, rgb16, grey16, lab ... */
  readonly colorSpace: string
  readonly hasProfile: boolean
  /** Bytes of the original. */
  readonly byteLength: number
  /** SVG only: surfaces of the size of the whole picture that drawing it takes besides the picture itself. */
  readonly layers?: number
}
