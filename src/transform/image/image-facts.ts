import type { InputFormat } from './formats.ts'

/** What a renderer finds out about an uploaded picture by decoding it whole. */
export type ImageFacts = {
  readonly format: InputFormat
  /** px of the first frame, after orientation. */
  readonly width: number
  readonly height: number
  readonly hasAlpha: boolean
  readonly frames: number
  /** The harmless part: never a place, a serial number or a name. `takenAt` is ISO 8601 without a zone unless the camera gave one. */
  readonly exif: { readonly make?: string; readonly model?: string; readonly lens?: string; readonly takenAt?: string }
  /** Base64 of thumbhash's bytes (evanw/thumbhash). */
  readonly thumbhash: string
  /** `#rrggbb` */
  readonly dominantColor: string
  /** 64 bits as 16 hex digits: pictures that look alike differ in few bits. */
  readonly perceptualHash: string
  /** In ascending order, not overlapping; applied to the file they leave no metadata but orientation and colour profile. */
  readonly edits: readonly ByteEdit[]
}

/** Replaces the bytes from `start` to before `end` by `bytes` (base64); empty cuts them out. */
export type ByteEdit = { readonly start: number; readonly end: number; readonly bytes: string }
