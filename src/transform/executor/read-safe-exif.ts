import exifReader from 'exif-reader'
import type { ImageFacts } from '../image/image-facts.ts'
import type { TiffReader } from '../image/metadata-edits/tiff-directory.ts'
import { openTiff } from '../image/metadata-edits/tiff-directory.ts'

/** Longer values of these tags are no names of cameras. */
const maxLength = 64
/** Directories of cameras have some dozens of fields; the reader makes lists of all that they point to. */
const maxFields = 1_000
const photoDirectory = 0x8769
const header = Buffer.from('Exif\0\0', 'latin1')

/**
 * What an EXIF block tells of camera, lens and time, and nothing else: never a place, a serial number, a name or maker notes.
 * A block that cannot be read tells nothing.
 */
export function readSafeExif(block: Buffer | undefined): ImageFacts['exif'] {
  if (!block) return {}
  const tiff = block.subarray(0, header.length).equals(header) ? block.subarray(header.length) : block
  const reader = openTiff(tiff)
  if (!reader || reader.isBig || !isModest(reader, tiff.length)) return {}
  const { Image: image, Photo: photo } = readAll(tiff)
  const entries = {
    make: cleanText(image?.Make),
    model: cleanText(image?.Model),
    lens: cleanText(photo?.LensModel),
    takenAt: timeOf(photo?.DateTimeOriginal, photo?.OffsetTimeOriginal),
  }
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined))
}

function readAll(tiff: Buffer): Pick<exifReader.Exif, 'Image' | 'Photo'> {
  try {
    return exifReader(tiff)
  } catch {
    return {}
  }
}

/** Fields may all point to the same bytes: what they make together is bounded, not only the block. */
function isModest(reader: TiffReader, byteLength: number): boolean {
  const first = reader.directory(reader.firstAt)
  const photo = first?.fields.find(({ tag }) => tag === photoDirectory)
  const second = photo && reader.directory(photo.type === 4 ? (reader.numbers(photo, 1)[0] ?? 0) : 0)
  const fields = [first, second, first && reader.directory(first.nextAt)].flatMap((one) => one?.fields ?? [])
  const size = fields.reduce((sum, { valueAt, valueEnd }) => sum + Math.min(valueEnd - valueAt, byteLength), 0)
  return fields.length <= maxFields && size <= byteLength * 2
}

/** One line without control or formatting characters; undefined when nothing is left. */
function cleanText(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined
  const text = value
    .replaceAll(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ')
    .replaceAll(/\s+/g, ' ')
    .trim()
  return text.slice(0, maxLength).trim() || undefined
}

/** ISO 8601; with the offset where the camera knew it. The reader takes camera time for UTC. */
function timeOf(taken: unknown, offset: unknown): string | undefined {
  if (!(taken instanceof Date) || Number.isNaN(taken.getTime())) return undefined
  const zone = typeof offset === 'string' && /^[+-](?:0\d|1[0-4]):[0-5]\d$/.test(offset.trim()) ? offset.trim() : ''
  return taken.toISOString().slice(0, 19) + zone
}
