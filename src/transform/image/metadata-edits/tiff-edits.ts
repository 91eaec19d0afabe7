import type { FileEdit, Span } from './file-edit.ts'
import { brokenFile, cutSpan, replaceSpan, subtractSpans, zeroSpan } from './file-edit.ts'
import type { TiffDirectory, TiffField, TiffReader } from './tiff-directory.ts'
import { openTiff } from './tiff-directory.ts'

/** Fields that decoding or showing needs (TIFF 6.0 and its supplements); 274 is the orientation, 34675 the ICC profile. */
const keptTags: ReadonlySet<number> = new Set([
  ...[
    254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 274, 277, 278, 279, 280, 281, 282, 283, 284, 290, 291,
  ],
  ...[292, 293, 296, 297, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 332, 334, 336, 338, 339, 340, 341, 347],
  ...[529, 530, 531, 532, 34675, 37439, 50674],
])
const tag = { subfileType: 254, compression: 259 }
/** Where the pixels of a page begin, and how long each piece is: strips and tiles. */
const pixelTags = [
  [273, 279],
  [324, 325],
] as const
const fieldBytes = 12
/** Its tables lie where no length says. */
const oldJpegCompression = 6
const reducedImage = 1

/**
 * Leaves the pages and the fields that decoding needs where they are, and writes zeros over everything else: other fields, GPS
 * and EXIF directories, XMP, IPTC, thumbnails, and whatever no field points to.
 */
export function tiffEdits(bytes: Buffer): FileEdit[] {
  const tiff = openTiff(bytes)
  if (!tiff) throw brokenFile('tiff', 'has no header')
  const pages = readPages(bytes, tiff)
  const kept: Span[] = [{ start: 0, end: tiff.isBig ? 16 : 8 }, ...pixelSpans(bytes, tiff, pages)]
  const edits: FileEdit[] = []
  for (const [index, page] of pages.entries()) {
    const fields = page.fields.filter((field) => keptTags.has(field.tag))
    const body = tiff.write(fields, pages[index + 1]?.at ?? 0)
    edits.push(
      replaceSpan(
        { start: page.at, end: page.end },
        Buffer.concat([body, Buffer.alloc(page.end - page.at - body.length)]),
      ),
    )
    kept.push(...edits.slice(-1), ...fields.map(({ valueAt, valueEnd }) => ({ start: valueAt, end: valueEnd })))
  }
  const end = kept.reduce((last, span) => Math.max(last, span.end), 0)
  const rest = subtractSpans([{ start: 0, end }], kept)
  return assertApart([...edits, ...rest.map(zeroSpan), cutSpan(end, bytes.length)])
}

/** Thumbnails stand in the chain as reduced pages. */
function readPages(bytes: Buffer, tiff: TiffReader): TiffDirectory[] {
  const pages: TiffDirectory[] = []
  const seen = new Set<number>()
  let fields = 0
  for (let at = tiff.firstAt; at !== 0;) {
    const page = seen.has(at) ? undefined : tiff.directory(at)
    if (!page || page.fields.some((field) => keptTags.has(field.tag) && field.valueEnd > bytes.length)) {
      throw brokenFile('tiff', 'has a directory that does not fit')
    }
    seen.add(at)
    fields += page.fields.length
    // Directories that lie in each other would cost more than the file is long.
    if (fields > bytes.length / fieldBytes) throw brokenFile('tiff', 'has directories that overlap')
    const isThumbnail = ((tiff.numbers(findField(page.fields, tag.subfileType), 1)[0] ?? 0) & reducedImage) !== 0
    if (pages.length === 0 || !isThumbnail) pages.push(page)
    at = page.nextAt
  }
  if (pages.length === 0) throw brokenFile('tiff', 'has no page')
  return pages
}

/** Strips and tiles of all pages. Where lengths are missing, everything from its start counts. */
function pixelSpans(bytes: Buffer, tiff: TiffReader, pages: readonly TiffDirectory[]): Span[] {
  const spans: Span[] = []
  for (const { fields } of pages) {
    if (tiff.numbers(findField(fields, tag.compression), 1)[0] === oldJpegCompression) {
      throw brokenFile('tiff', 'uses a compression that is not supported')
    }
    for (const [offsetsTag, lengthsTag] of pixelTags) {
      const lengths = tiff.numbers(findField(fields, lengthsTag), bytes.length)
      for (const [index, start] of tiff.numbers(findField(fields, offsetsTag), bytes.length).entries()) {
        const length = lengths[index] ?? 0
        spans.push({ start, end: length === 0 ? bytes.length : Math.min(start + length, bytes.length) })
      }
      if (spans.length > bytes.length) throw brokenFile('tiff', 'has directories that overlap')
    }
  }
  return spans
}

function findField(fields: readonly TiffField[], wanted: number): TiffField | undefined {
  return fields.find((field) => field.tag === wanted)
}

function assertApart(edits: readonly FileEdit[]): FileEdit[] {
  const ordered = [...edits].sort((a, b) => a.start - b.start || a.end - b.end)
  if (ordered.some(({ start }, index) => start < (ordered[index - 1]?.end ?? 0))) {
    throw brokenFile('tiff', 'has directories that overlap')
  }
  return ordered
}
