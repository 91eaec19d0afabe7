import { inflateSync } from 'node:zlib'
import type { TiffDirectory, TiffReader } from '../transform/image/metadata-edits/tiff-directory.ts'
import { openTiff } from '../transform/image/metadata-edits/tiff-directory.ts'

export type AuditKind = 'place' | 'serial' | 'owner' | 'maker_notes' | 'thumbnail'

/** Something personal in a picture, and by what it was found. */
export type AuditFinding = { readonly kind: AuditKind; readonly where: string }

/** Names in XMP, with which elements and attributes begin alike. */
const xmpNames: readonly (readonly [string, AuditKind])[] = [
  ['exif:GPSLatitude', 'place'],
  ['exif:GPSLongitude', 'place'],
  ['aux:SerialNumber', 'serial'],
  ['exifEX:BodySerialNumber', 'serial'],
  ['exifEX:LensSerialNumber', 'serial'],
  ['aux:OwnerName', 'owner'],
  ['exifEX:CameraOwnerName', 'owner'],
  ['<dc:creator', 'owner'],
  ['xmpGImg:image', 'thumbnail'],
]

/** Fields of EXIF directories (EXIF 3.0, 4.6.5 to 4.6.8; 0xc62f is DNG's, 0x9c9d that of Windows). */
const exifFields: ReadonlyMap<number, AuditKind> = new Map([
  [0x013b, 'owner'],
  [0x9c9d, 'owner'],
  [0xa430, 'owner'],
  [0xa431, 'serial'],
  [0xa435, 'serial'],
  [0xc62f, 'serial'],
  [0x927c, 'maker_notes'],
])
const tag = { exif: 0x8769, gps: 0x8825, gpsVersion: 0, thumbnailJpeg: 0x0201, subfileType: 254 }

/** Photoshop resources: 1033 and 1036 are thumbnails, 1028 is IPTC, of which 2:80 is the author. */
const thumbnailResources = [Buffer.from('8BIM\x04\x09', 'latin1'), Buffer.from('8BIM\x04\x0c', 'latin1')]
const iptcResource = Buffer.from('8BIM\x04\x04', 'latin1')
const iptcAuthor = Buffer.from([0x1c, 2, 80])
const maxFields = 500
const maxInflatedBytes = 4_000_000

/**
 * Looks for what no stored or served picture may carry: GPS, serial numbers, names, maker notes, a thumbnail of an earlier state.
 * On purpose it knows nothing of how metadata is taken: it looks for EXIF, XMP and Photoshop blocks wherever they are in the file.
 */
export function auditBytes(bytes: Buffer): AuditFinding[] {
  const found = [...exifFindings(bytes), ...xmpFindings(bytes), ...photoshopFindings(bytes), ...pngTextFindings(bytes)]
  return [...new Map(found.map((finding) => [`${finding.kind} ${finding.where}`, finding])).values()]
}

function xmpFindings(bytes: Buffer): AuditFinding[] {
  return xmpNames.filter(([name]) => bytes.includes(name)).map(([name, kind]) => ({ kind, where: `XMP ${name}` }))
}

function photoshopFindings(bytes: Buffer): AuditFinding[] {
  const iptcAt = bytes.indexOf(iptcResource)
  const hasAuthor = iptcAt !== -1 && bytes.subarray(iptcAt, iptcAt + 65_536).includes(iptcAuthor)
  return [
    ...(thumbnailResources.some((mark) => bytes.includes(mark))
      ? [{ kind: 'thumbnail', where: 'Photoshop' } as const]
      : []),
    ...(hasAuthor ? [{ kind: 'owner', where: 'IPTC by-line' } as const] : []),
  ]
}

/** Every place where a TIFF structure begins: EXIF blocks of all formats, and a TIFF itself. */
function exifFindings(bytes: Buffer): AuditFinding[] {
  return ['II*\0', 'MM\0*', 'II+\0', 'MM\0+'].flatMap((mark) => {
    const findings: AuditFinding[] = []
    for (let at = bytes.indexOf(mark, 0, 'latin1'); at !== -1; at = bytes.indexOf(mark, at + 1, 'latin1')) {
      findings.push(...findingsOfBlock(bytes.subarray(at)))
    }
    return findings
  })
}

function findingsOfBlock(block: Buffer): AuditFinding[] {
  const tiff = openTiff(block)
  const first = tiff && plausible(tiff.directory(tiff.firstAt))
  if (!tiff || !first) return []
  const photo = pointed(tiff, first, tag.exif)
  const gps = pointed(tiff, first, tag.gps)
  const next = first.nextAt === 0 ? undefined : plausible(tiff.directory(first.nextAt))
  const named = [...first.fields, ...(photo?.fields ?? [])].flatMap((field) => {
    const kind = exifFields.get(field.tag)
    const isBlank = block.subarray(field.valueAt, field.valueEnd).every((byte) => byte === 0 || byte === 0x20)
    return kind && !isBlank ? [{ kind, where: `EXIF 0x${field.tag.toString(16)}` }] : []
  })
  const hasPlace = gps?.fields.some((field) => field.tag !== tag.gpsVersion) ?? false
  return [
    ...named,
    ...(hasPlace ? [{ kind: 'place', where: 'EXIF GPS' } as const] : []),
    ...(next && isThumbnail(tiff, next) ? [{ kind: 'thumbnail', where: 'EXIF thumbnail' } as const] : []),
  ]
}

/** Chance finds look like no directory: fields stand in ascending order and have known types. */
function plausible(directory: TiffDirectory | undefined): TiffDirectory | undefined {
  const fields = directory?.fields ?? []
  const isOrdered = fields.every(
    ({ tag: own, type }, index) => type > 0 && type <= 18 && own >= (fields[index - 1]?.tag ?? 0),
  )
  return fields.length > 0 && fields.length <= maxFields && isOrdered ? directory : undefined
}

function pointed(tiff: TiffReader, { fields }: TiffDirectory, wanted: number): TiffDirectory | undefined {
  const [at] = tiff.numbers(
    fields.find((field) => field.tag === wanted),
    1,
  )
  return at === undefined ? undefined : plausible(tiff.directory(at))
}

function isThumbnail(tiff: TiffReader, { fields }: TiffDirectory): boolean {
  const [type = 0] = tiff.numbers(
    fields.find((field) => field.tag === tag.subfileType),
    1,
  )
  return fields.some((field) => field.tag === tag.thumbnailJpeg) || (type & 1) === 1
}

/** Text chunks of a PNG may be packed, and hold whole EXIF blocks as hex digits (ImageMagick's "Raw profile type"). */
function pngTextFindings(bytes: Buffer): AuditFinding[] {
  if (bytes.toString('latin1', 1, 4) !== 'PNG') return []
  const findings: AuditFinding[] = []
  for (let at = 8; at + 12 <= bytes.length;) {
    const end = at + 12 + bytes.readUInt32BE(at)
    const type = bytes.toString('latin1', at + 4, at + 8)
    if (['tEXt', 'zTXt', 'iTXt'].includes(type)) findings.push(...findingsOfText(bytes.subarray(at + 8, end - 4)))
    at = end
  }
  return findings
}

function findingsOfText(data: Buffer): AuditFinding[] {
  const text = inflated(data) ?? data
  const digits = /^\s*\w+\s+\d+\s+([0-9a-f\s]+)$/i.exec(
    text.toString('latin1', data === text ? data.indexOf(0) + 1 : 0),
  )
  const raw = digits ? Buffer.from((digits[1] ?? '').replaceAll(/\s/g, ''), 'hex') : undefined
  return [...xmpFindings(text), ...(raw ? [...exifFindings(raw), ...xmpFindings(raw), ...photoshopFindings(raw)] : [])]
}

/** The packed part of a text chunk, wherever it begins; undefined when there is none. */
function inflated(data: Buffer): Buffer | undefined {
  for (let at = data.indexOf(0x78); at !== -1 && at < 128; at = data.indexOf(0x78, at + 1)) {
    try {
      return inflateSync(data.subarray(at), { maxOutputLength: maxInflatedBytes })
    } catch {
      // No packed data begins here.
    }
  }
  return undefined
}
