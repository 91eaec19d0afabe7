import { crc32 } from 'node:zlib'
import type { Sharp } from 'sharp'
import sharp from 'sharp'

/** Strings that no stored file may hold; each stands in another kind of metadata. */
export const planted = {
  serial: 'SN-8472-PLANTED',
  owner: 'Planted Owner',
  place: 'PLANTED-PLACE',
  xmp: 'PLANTED-XMP',
  comment: 'PLANTED-COMMENT',
  trailer: 'PLANTED-TRAILER',
} as const

/** Big enough that nothing fits into a cache line, small enough to draw in a millisecond. */
export function drawBase(width = 64, height = 48, alpha = false): Sharp {
  const channels = alpha ? 4 : 3
  const pixels = Buffer.alloc(width * height * channels)
  for (let at = 0; at < pixels.length; at++) pixels[at] = (at * 7 + Math.floor(at / (width * channels)) * 13) & 255
  return sharp(pixels, { raw: { width, height, channels } })
}

type Field = readonly [tag: number, type: 1 | 2 | 3 | 4 | 5 | 7, value: Buffer | number]

const text = (value: string): Buffer => Buffer.from(`${value}\0`, 'latin1')
const gps: readonly Field[] = [
  [1, 2, text('N')],
  [2, 5, rationals(48, 11, 54)],
  [27, 7, Buffer.from(`ASCII\0\0\0${planted.place}`)],
]
const photo: readonly Field[] = [
  [0x9003, 2, text('2024:05:06 07:08:09')],
  [0x9011, 2, text('+02:00')],
  [0x927c, 7, Buffer.from(`MAKER ${planted.serial}`)],
  [0xa430, 2, text(planted.owner)],
  [0xa431, 2, text(planted.serial)],
  [0xa434, 2, text('Lens\u0007 24mm')],
]

/** An EXIF block with orientation, camera, GPS, serial number, owner, maker notes and a thumbnail. */
export async function drawExif(orientation = 6): Promise<Buffer> {
  const thumbnail = await drawBase(32, 24).jpeg().toBuffer()
  const image = (photoAt: number, gpsAt: number): Field[] => [
    [0x010f, 2, text('Maker\r\nand Sons')],
    [0x0110, 2, text('Model X')],
    [0x0112, 3, orientation],
    [0x013b, 2, text(planted.owner)],
    [0x8769, 4, photoAt],
    [0x8825, 4, gpsAt],
  ]
  const small = (at: number): Field[] => [
    [0x0103, 3, 6],
    [0x0201, 4, at],
    [0x0202, 4, thumbnail.length],
  ]
  const photoAt = 8 + directory(image(0, 0), 0, 0).length
  const gpsAt = photoAt + directory(photo, 0, 0).length
  const smallAt = gpsAt + directory(gps, 0, 0).length
  const thumbnailAt = smallAt + directory(small(0), 0, 0).length
  return Buffer.concat([
    Buffer.from([0x49, 0x49, 0x2a, 0, 8, 0, 0, 0]),
    directory(image(photoAt, gpsAt), 8, smallAt),
    directory(photo, photoAt, 0),
    directory(gps, gpsAt, 0),
    directory(small(thumbnailAt), smallAt, 0),
    thumbnail,
  ])
}

/** A grey TIFF of 8 x 4 px with the same directories, and its pixels last. */
export function drawTiffFile(orientation = 6): Buffer {
  const pixels = Buffer.from(Array.from({ length: 32 }, (_, index) => index * 8))
  const image = (photoAt: number, gpsAt: number, pixelsAt: number): Field[] => [
    [256, 3, 8],
    [257, 3, 4],
    [258, 3, 8],
    [259, 3, 1],
    [262, 3, 1],
    [273, 4, pixelsAt],
    [274, 3, orientation],
    [277, 3, 1],
    [278, 3, 4],
    [279, 4, pixels.length],
    [0x013b, 2, text(planted.owner)],
    [0x8769, 4, photoAt],
    [0x8825, 4, gpsAt],
  ]
  const photoAt = 8 + directory(image(0, 0, 0), 0, 0).length
  const gpsAt = photoAt + directory(photo, 0, 0).length
  const pixelsAt = gpsAt + directory(gps, 0, 0).length
  return Buffer.concat([
    Buffer.from([0x49, 0x49, 0x2a, 0, 8, 0, 0, 0]),
    directory(image(photoAt, gpsAt, pixelsAt), 8, 0),
    directory(photo, photoAt, 0),
    directory(gps, gpsAt, 0),
    pixels,
  ])
}

export const xmpPacket = Buffer.from(
  `<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description exif:GPSLatitude="48,11.9N" aux:SerialNumber="${planted.xmp}"/></rdf:RDF></x:xmpmeta>`,
)

export function jpegSegment(code: number, ...parts: readonly (Buffer | string)[]): Buffer {
  const payload = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part)))
  const head = Buffer.from([0xff, code, 0, 0])
  head.writeUInt16BE(payload.length + 2, 2)
  return Buffer.concat([head, payload])
}

export function pngChunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const frame = Buffer.alloc(8)
  frame.writeUInt32BE(data.length)
  frame.writeUInt32BE(crc32(body), 4)
  return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)])
}

/** Puts chunks before another one; a new chunk goes in front of the first of that type. */
export function insertChunks(png: Buffer, before: string, ...chunks: readonly Buffer[]): Buffer {
  const at = png.indexOf(before, 8, 'latin1') - 4
  return Buffer.concat([png.subarray(0, at), ...chunks, png.subarray(at)])
}

export function riffChunk(type: string, data: Buffer): Buffer {
  const size = Buffer.alloc(4)
  size.writeUInt32LE(data.length)
  return Buffer.concat([Buffer.from(type), size, data, Buffer.alloc(data.length % 2)])
}

/** A ZIP archive with one file, as it would be appended to a picture. */
export function drawZip(offset = 0): Buffer {
  const name = Buffer.from('a.txt')
  const local = Buffer.concat([Buffer.from('PK\x03\x04'), Buffer.alloc(22), u16(name.length), u16(0), name])
  const central = Buffer.concat([
    Buffer.from('PK\x01\x02'),
    Buffer.alloc(24),
    u16(name.length),
    Buffer.alloc(12),
    u32(offset),
    name,
  ])
  const end = Buffer.concat([
    Buffer.from('PK\x05\x06'),
    u16(0),
    u16(0),
    u16(1),
    u16(1),
    u32(central.length),
    u32(offset + local.length),
    u16(0),
  ])
  return Buffer.concat([local, central, end])
}

/** A directory at a place of its own, its longer values behind it. */
function directory(fields: readonly Field[], at: number, nextAt: number): Buffer {
  const head = Buffer.alloc(2 + fields.length * 12 + 4)
  head.writeUInt16LE(fields.length)
  head.writeUInt32LE(nextAt, head.length - 4)
  const tail: Buffer[] = []
  let tailAt = at + head.length
  for (const [index, [tag, type, value]] of fields.entries()) {
    const field = 2 + index * 12
    const bytes = typeof value === 'number' ? (type === 3 ? u16(value) : u32(value)) : value
    head.writeUInt16LE(tag, field)
    head.writeUInt16LE(type, field + 2)
    head.writeUInt32LE(typeof value === 'number' ? 1 : value.length / (type === 5 ? 8 : 1), field + 4)
    if (bytes.length <= 4) {
      bytes.copy(head, field + 8)
      continue
    }
    head.writeUInt32LE(tailAt, field + 8)
    const even = Buffer.concat([bytes, Buffer.alloc(bytes.length % 2)])
    tail.push(even)
    tailAt += even.length
  }
  return Buffer.concat([head, ...tail])
}

function rationals(...values: readonly number[]): Buffer {
  return Buffer.concat(values.flatMap((value) => [u32(value), u32(1)]))
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16LE(value)
  return bytes
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
