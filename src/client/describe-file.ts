/** Browsers know no type for some files: HEIC in most, AVIF in old ones. */
const typesByExtension: Readonly<Record<string, string>> = {
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  png: 'image/png',
  webp: 'image/webp',
  avif: 'image/avif',
  gif: 'image/gif',
  heic: 'image/heic',
  heif: 'image/heif',
  tif: 'image/tiff',
  tiff: 'image/tiff',
  svg: 'image/svg+xml',
}

/** What the API wants to know of a file; a Blob has no name. */
export function describeFile(file: Blob & { readonly name?: string }): {
  filename: string
  size: number
  type: string
} {
  // What the API refuses in names: slashes, control characters.
  // eslint-disable-next-line no-control-regex -- that is the point
  const filename = (file.name ?? '').replace(/[\u0000-\u001f\u007f/\\]+/g, '-').slice(-255) || 'image'
  const extension = /\.(\w+)$/.exec(filename)?.[1]?.toLowerCase() ?? ''
  return { filename, size: file.size, type: file.type || typesByExtension[extension] || 'application/octet-stream' }
}
