import { AppError } from '../../errors.ts'
import type { StrippedFile } from '../image/metadata-edits/strip-metadata.ts'
import { stripMetadata } from '../image/metadata-edits/strip-metadata.ts'
import { probeImage } from './probe-image.ts'
import { sanitizeSvg } from './sanitize-svg.ts'

const embedded = /data:image\/(?:png|jpe?g|gif|webp);base64,([A-Za-z0-9+/=\s]*)/g

/** What is stored of an SVG: the sanitised text as one edit of the whole file, without the metadata of pictures inside it. */
export async function stripSvg(bytes: Buffer, limits: { readonly maxPixels: number }): Promise<StrippedFile> {
  const text = sanitizeSvg(bytes).toString()
  const parts: string[] = []
  let at = 0
  for (const match of text.matchAll(embedded)) {
    const picture = Buffer.from(match[1] ?? '', 'base64')
    const { format, orientation } = await probeImage(picture, limits)
    if (format === 'svg') throw new AppError('undecodable', { detail: 'The SVG holds a picture that is an SVG itself' })
    const clean = stripMetadata(picture, { format, orientation })
    parts.push(text.slice(at, match.index), `data:image/${format};base64,`, clean.bytes.toString('base64'))
    at = match.index + match[0].length
  }
  const stripped = Buffer.from([...parts, text.slice(at)].join(''))
  return { edits: [{ start: 0, end: bytes.length, bytes: stripped.toString('base64') }], bytes: stripped }
}
