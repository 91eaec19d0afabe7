/** What content sniffing can find in an original. `heic` is HEVC-coded HEIF, told from AVIF by its compression. */
export const inputFormats = ['jpeg', 'png', 'webp', 'gif', 'avif', 'heic', 'tiff', 'svg'] as const
export type InputFormat = (typeof inputFormats)[number]

type OutputFormatRow = {
  readonly contentType: string
  readonly extension: string
  readonly alpha: boolean
  readonly animation: boolean
}

/** What can be written: one row per output format; the encoder table in `executor/encode.ts` must match. */
export const outputFormats = {
  avif: { contentType: 'image/avif', extension: 'avif', alpha: true, animation: false },
  webp: { contentType: 'image/webp', extension: 'webp', alpha: true, animation: true },
  jpeg: { contentType: 'image/jpeg', extension: 'jpg', alpha: false, animation: false },
  png: { contentType: 'image/png', extension: 'png', alpha: true, animation: false },
  gif: { contentType: 'image/gif', extension: 'gif', alpha: true, animation: true },
} as const satisfies Record<string, OutputFormatRow>
export type OutputFormat = keyof typeof outputFormats

/** Content types of originals that are passed through as they are. */
export const inputContentTypes = {
  jpeg: 'image/jpeg',
  png: 'image/png',
  webp: 'image/webp',
  gif: 'image/gif',
  avif: 'image/avif',
  heic: 'image/heic',
  tiff: 'image/tiff',
  svg: 'image/svg+xml',
} as const satisfies Record<InputFormat, string>

export function contentTypeOf(format: InputFormat | OutputFormat): string {
  return format in outputFormats ? outputFormats[format as OutputFormat].contentType : inputContentTypes[format]
}

const otherExtensions: Readonly<Record<string, InputFormat>> = { jpg: 'jpeg', tif: 'tiff', heif: 'heic' }

/** What a file is by its name, where nobody says more. */
export function contentTypeOfName(filename: string): string | undefined {
  const extension = /\.([a-z]+)$/i.exec(filename)?.[1]?.toLowerCase() ?? ''
  const format = otherExtensions[extension] ?? inputFormats.find((format) => format === extension)
  return format && inputContentTypes[format]
}

/** File name extension without the dot, for Content-Disposition. */
export function extensionOf(format: InputFormat | OutputFormat): string {
  return format in outputFormats ? outputFormats[format as OutputFormat].extension : format
}
