import { defineParam } from '../define-param.ts'
import { boolean, integer, oneOf, text } from '../value-types.ts'

/** Quality when the URL says nothing, and the one of auto=compress. */
export const defaultQualities = { plain: 75, compressed: 45 } as const

/** What `fm` can ask for and get; jp2, jxr, video, json and blurhash cannot be written and count as bad values. */
export const requestedFormats = ['avif', 'gif', 'jpg', 'png', 'png8', 'png32', 'webp'] as const
export type RequestedFormat = (typeof requestedFormats)[number]

const MAX_FILE_NAME = 255

export const formatParams = {
  fm: defineParam({
    type: oneOf(requestedFormats, { pjpg: 'jpg', jpeg: 'jpg' }),
    category: 'format',
    summary: 'Output format. JPEG is always progressive; png8 has a palette, png32 always an alpha channel.',
    fallbackText: 'format of the source; JPEG or PNG for TIFF, HEIC and SVG',
  }),
  q: defineParam({
    type: integer({ min: 0, max: 100, clamped: true }),
    category: 'format',
    summary: 'Quality of JPEG, WebP and AVIF, alike to the eye in all three.',
    fallbackText: `${String(defaultQualities.plain)}; ${String(defaultQualities.compressed)} with auto=compress`,
  }),
  lossless: defineParam({
    type: boolean(),
    category: 'format',
    summary: 'WebP without loss; without effect on other formats.',
    fallback: false,
  }),
  cs: defineParam({
    type: oneOf(['origin', 'srgb', 'adobergb1998', 'tinysrgb', 'strip']),
    category: 'format',
    summary: 'Colour space and profile of the output; strip writes no profile.',
    fallback: 'origin',
  }),
  dl: defineParam({
    type: text('a file name', MAX_FILE_NAME),
    category: 'format',
    summary: 'Answers as a download with this file name.',
    effect: 'answer',
  }),
}
