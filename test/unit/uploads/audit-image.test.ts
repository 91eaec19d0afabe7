import { deflateSync } from 'node:zlib'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { stripMetadata } from '../../../src/transform/image/metadata-edits/strip-metadata.ts'
import { auditBytes } from '../../../src/uploads/audit-image.ts'
import {
  drawBase,
  drawExif,
  drawTiffFile,
  insertChunks,
  jpegSegment,
  pngChunk,
  riffChunk,
  xmpPacket,
} from '../../helpers/draw-metadata.ts'

const kindsOf = (bytes: Buffer) => [...new Set(auditBytes(bytes).map(({ kind }) => kind))].sort()
const all = ['maker_notes', 'owner', 'place', 'serial', 'thumbnail']

async function jpegWith(...segments: readonly Buffer[]): Promise<Buffer> {
  const jpeg = await drawBase().jpeg().toBuffer()
  return Buffer.concat([jpeg.subarray(0, 2), ...segments, jpeg.subarray(2)])
}

describe('what an audit finds', () => {
  test('everything that EXIF of a camera tells of its owner', async () => {
    const jpeg = await jpegWith(jpegSegment(0xe1, 'Exif\0\0', await drawExif(6)))
    expect(kindsOf(jpeg)).toEqual(all)
    const png = insertChunks(await drawBase().png().toBuffer(), 'IDAT', pngChunk('eXIf', await drawExif(6)))
    expect(kindsOf(png)).toEqual(all)
    const webp = Buffer.concat([await drawBase().webp().toBuffer(), riffChunk('EXIF', await drawExif(6))])
    expect(kindsOf(webp)).toEqual(all)
  })

  test('EXIF in TIFF and AVIF', async () => {
    expect(kindsOf(drawTiffFile())).toEqual(['maker_notes', 'owner', 'place', 'serial'])
    const avif = drawBase().withExif({
      IFD0: { Artist: 'Somebody' },
      IFD2: { BodySerialNumber: '42' },
      IFD3: { GPSLatitudeRef: 'N', GPSLatitude: '48/1 11/1 54/1' },
    })
    expect(kindsOf(await avif.avif({ effort: 0 }).toBuffer())).toEqual(['owner', 'place', 'serial'])
  })

  test('XMP, plain or packed into a PNG', async () => {
    expect(kindsOf(await jpegWith(jpegSegment(0xe1, 'http://ns.adobe.com/xap/1.0/\0', xmpPacket)))).toEqual([
      'place',
      'serial',
    ])
    const packed = Buffer.concat([Buffer.from('XML:com.adobe.xmp\0\x01\0\0\0'), deflateSync(xmpPacket)])
    const png = insertChunks(await drawBase().png().toBuffer(), 'IDAT', pngChunk('iTXt', packed))
    expect(kindsOf(png)).toEqual(['place', 'serial'])
  })

  test('EXIF written as digits into a PNG', async () => {
    const exif = await drawExif(1)
    const text = Buffer.from(`Raw profile type exif\0\nexif\n ${exif.length}\n${exif.toString('hex')}\n`)
    expect(kindsOf(insertChunks(await drawBase().png().toBuffer(), 'IDAT', pngChunk('tEXt', text)))).toEqual(all)
  })

  test('what Photoshop keeps', async () => {
    const resources = Buffer.from('8BIM\x04\x0c\0\0\0\0\0\x018BIM\x04\x04\0\0\0\0\0\x08\x1c\x02\x50\0\x03Ann', 'latin1')
    expect(kindsOf(await jpegWith(jpegSegment(0xed, 'Photoshop 3.0\0', resources)))).toEqual(['owner', 'thumbnail'])
  })
})

describe('what it does not complain about', () => {
  test('a stored file, a rendered one, an orientation', async () => {
    const jpeg = await jpegWith(jpegSegment(0xe1, 'Exif\0\0', await drawExif(6)))
    expect(auditBytes(stripMetadata(jpeg, { format: 'jpeg', orientation: 6 }).bytes)).toEqual([])
    expect(auditBytes(stripMetadata(drawTiffFile(), { format: 'tiff', orientation: 6 }).bytes)).toEqual([])
    for (const format of ['webp', 'avif', 'png', 'jpeg'] as const) {
      expect(auditBytes(await sharp(jpeg).resize(32).toFormat(format).toBuffer())).toEqual([])
    }
  })

  test('noise', () => {
    const noise = Buffer.alloc(1_000_000)
    for (let at = 0, state = 1; at < noise.length; at++) noise[at] = state = (state * 1_103_515_245 + 12_345) & 0x7f
    for (const mark of ['II*\0', 'MM\0*']) noise.write(mark, 5_000, 'latin1')
    expect(auditBytes(noise)).toEqual([])
  })
})
