import fc from 'fast-check'
import type { JpegOptions } from 'sharp'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { AppError } from '../../../../../src/errors.ts'
import { probeImage } from '../../../../../src/transform/executor/probe-image.ts'
import type { InputFormat } from '../../../../../src/transform/image/formats.ts'
import type { ByteEdit } from '../../../../../src/transform/image/image-facts.ts'
import { stripMetadata } from '../../../../../src/transform/image/metadata-edits/strip-metadata.ts'
import {
  drawBase,
  drawExif,
  drawTiffFile,
  drawZip,
  insertChunks,
  jpegSegment,
  planted,
  pngChunk,
  riffChunk,
  xmpPacket,
} from '../../../../helpers/draw-metadata.ts'
import { drawAnimation } from '../../../../helpers/draw-picture.ts'

type StrippedFormat = Exclude<InputFormat, 'svg'>
type Sample = {
  readonly format: StrippedFormat
  readonly bytes: Buffer
  readonly orientation: number
  readonly hasIcc: boolean
}

const trailer = Buffer.from(planted.trailer)
const afterSoi = (jpeg: Buffer, ...segments: readonly Buffer[]) =>
  Buffer.concat([jpeg.subarray(0, 2), ...segments, jpeg.subarray(2)])

/** A JPEG with every kind of segment that carries metadata, and a second picture behind it. */
async function drawJpeg(options: JpegOptions = {}): Promise<Buffer> {
  const jpeg = await drawBase().withIccProfile('p3').jpeg(options).toBuffer()
  const thumbnail = Buffer.from([0xff, 0xd8, ...Buffer.from(planted.trailer), 0xff, 0xd9])
  return Buffer.concat([
    afterSoi(
      jpeg,
      jpegSegment(0xe0, 'JFIF\0', Buffer.from([1, 1, 0, 0, 1, 0, 1, 2, 2]), Buffer.from('PLANTED-JFIF')),
      jpegSegment(0xe1, 'Exif\0\0', await drawExif(6)),
      jpegSegment(0xe1, 'http://ns.adobe.com/xap/1.0/\0', xmpPacket),
      jpegSegment(0xe2, 'MPF\0', planted.trailer),
      jpegSegment(0xed, 'Photoshop 3.0\0', `8BIM${planted.owner}`),
      jpegSegment(0xfe, planted.comment),
      Buffer.from([0xff, 0xff, 0xff]),
    ),
    thumbnail,
    trailer,
  ])
}

async function drawPng(): Promise<Buffer> {
  const png = await drawBase(64, 48, true).withIccProfile('p3').png().toBuffer()
  const text = pngChunk('tEXt', Buffer.from(`Comment\0${planted.comment}`))
  const xmp = pngChunk('iTXt', Buffer.concat([Buffer.from('XML:com.adobe.xmp\0\0\0\0\0'), xmpPacket]))
  const own = pngChunk('prVt', Buffer.from(planted.owner))
  return Buffer.concat([insertChunks(png, 'IDAT', text, xmp, pngChunk('eXIf', await drawExif(6)), own), trailer])
}

async function drawWebp(animated: boolean): Promise<Buffer> {
  const webp = animated
    ? await drawAnimation('webp', { width: 20, height: 10, frames: 3 })
    : await drawBase(64, 48, true).withIccProfile('p3').webp({ lossless: true }).toBuffer()
  const whole = Buffer.concat([
    webp,
    riffChunk('EXIF', await drawExif(6)),
    riffChunk('XMP ', xmpPacket),
    riffChunk('PRIV', trailer),
  ])
  whole.writeUInt32LE(whole.length - 8, 4)
  whole[20]! |= 0x0c
  return Buffer.concat([whole, trailer])
}

async function drawGif(): Promise<Buffer> {
  const gif = await drawAnimation('gif', { width: 20, height: 10, frames: 3 })
  const block = (bytes: Buffer) => Buffer.concat([Buffer.from([bytes.length]), bytes])
  const extension = (label: number, ...blocks: readonly Buffer[]) =>
    Buffer.concat([Buffer.from([0x21, label]), ...blocks.map(block), Buffer.from([0])])
  const at = gif.indexOf(Buffer.from([0x21]), 13 + 3 * 2 ** (((gif[10] ?? 0) & 7) + 1))
  return Buffer.concat([
    gif.subarray(0, at),
    extension(0xfe, Buffer.from(planted.comment)),
    extension(0xff, Buffer.from('XMP DataXMP'), Buffer.from(planted.xmp)),
    extension(0xff, Buffer.from('NETSCAPE2.0'), Buffer.from([1, 0, 0]), Buffer.from(planted.owner)),
    gif.subarray(at),
    trailer,
  ])
}

async function drawTiff(): Promise<Buffer> {
  const tiff = await drawBase()
    .withIccProfile('p3')
    .withMetadata({ orientation: 6, icc: 'p3' })
    .withExifMerge({
      IFD0: { Artist: planted.owner, ImageDescription: planted.comment },
      IFD2: { BodySerialNumber: planted.serial },
      IFD3: { GPSAreaInformation: planted.place, GPSLatitudeRef: 'N', GPSLatitude: '48/1 11/1 54/1' },
    })
    .withXmp(xmpPacket.toString())
    .tiff({ compression: 'lzw', predictor: 'horizontal' })
    .toBuffer()
  return Buffer.concat([tiff, trailer])
}

async function drawAvif(): Promise<Buffer> {
  const avif = await drawBase()
    .withIccProfile('p3')
    .withExifMerge({
      IFD0: { Artist: planted.owner },
      IFD2: { BodySerialNumber: planted.serial },
      IFD3: { GPSLatitudeRef: 'N', GPSLatitude: '48/1 11/1 54/1' },
    })
    .withXmp(xmpPacket.toString())
    .avif({ effort: 0 })
    .toBuffer()
  const video = Buffer.concat([Buffer.from([0, 0, 0, 8 + trailer.length]), Buffer.from('mpvd'), trailer])
  return Buffer.concat([avif, video])
}

const samples: Readonly<Record<string, () => Promise<Sample>>> = {
  'a baseline JPEG': async () => ({ format: 'jpeg', bytes: await drawJpeg(), orientation: 6, hasIcc: true }),
  'a progressive JPEG': async () => ({
    format: 'jpeg',
    bytes: await drawJpeg({ progressive: true }),
    orientation: 6,
    hasIcc: true,
  }),
  'a PNG': async () => ({ format: 'png', bytes: await drawPng(), orientation: 6, hasIcc: true }),
  'a WebP': async () => ({ format: 'webp', bytes: await drawWebp(false), orientation: 6, hasIcc: true }),
  'an animated WebP': async () => ({ format: 'webp', bytes: await drawWebp(true), orientation: 6, hasIcc: false }),
  'an animated GIF': async () => ({ format: 'gif', bytes: await drawGif(), orientation: 1, hasIcc: false }),
  'a TIFF': async () => ({ format: 'tiff', bytes: await drawTiff(), orientation: 6, hasIcc: true }),
  'a TIFF with EXIF': () => Promise.resolve({ format: 'tiff', bytes: drawTiffFile(), orientation: 6, hasIcc: false }),
  'an AVIF': async () => ({ format: 'avif', bytes: await drawAvif(), orientation: 1, hasIcc: true }),
}

const strip = (bytes: Buffer, format: StrippedFormat, orientation = 1) =>
  stripMetadata(bytes, { format, orientation: orientation as 1 })

function applyAll(bytes: Buffer, edits: readonly ByteEdit[]): Buffer {
  return [...edits]
    .reverse()
    .reduce(
      (file, { start, end, bytes: put }) =>
        Buffer.concat([file.subarray(0, start), Buffer.from(put, 'base64'), file.subarray(end)]),
      bytes,
    )
}

const pixels = (bytes: Buffer) => sharp(bytes, { animated: true }).raw().toBuffer()
const firstPage = (bytes: Buffer) => sharp(bytes).raw().toBuffer()

describe('what is taken and what stays', () => {
  test.each(Object.entries(samples))('%s', async (_, draw) => {
    const { format, bytes, orientation, hasIcc } = await draw()
    const before = await probeImage(bytes, { maxPixels: 1e6 })
    expect([before.format, before.orientation, before.hasProfile]).toEqual([format, orientation, hasIcc])
    const { edits, bytes: stripped } = strip(bytes, format, before.orientation)
    expect(edits.length).toBeGreaterThan(0)
    expect(applyAll(bytes, edits).equals(stripped)).toBe(true)
    expect((await pixels(stripped)).equals(await pixels(bytes))).toBe(true)
    const [was, is] = [await sharp(bytes).metadata(), await sharp(stripped).metadata()]
    expect(is.orientation ?? 1).toBe(was.orientation ?? 1)
    expect([is.pages, is.delay, is.loop]).toEqual([was.pages, was.delay, was.loop])
    expect(is.icc).toEqual(was.icc)
    expect([is.xmp, is.iptc, is.comments]).toEqual([undefined, undefined, undefined])
    expect(is.exif?.length ?? 0).toBeLessThanOrEqual(32)
    for (const text of [...Object.values(planted), 'PLANTED']) {
      expect(bytes.includes('PLANTED')).toBe(true)
      expect(stripped.includes(text)).toBe(false)
    }
    // Once is enough.
    expect(strip(stripped, format, before.orientation).edits).toEqual([])
  })

  test('an upright JPEG keeps no EXIF at all', async () => {
    const jpeg = afterSoi(await drawBase().jpeg().toBuffer(), jpegSegment(0xe1, 'Exif\0\0', await drawExif(1)))
    expect((await sharp(strip(jpeg, 'jpeg').bytes).metadata()).exif).toBeUndefined()
  })

  test('a clean file is left as it is', async () => {
    const jpeg = await drawBase().jpeg().toBuffer()
    expect(strip(jpeg, 'jpeg').edits).toEqual([])
  })

  test('a CMYK JPEG keeps the mark by which its colours are read', async () => {
    const jpeg = await drawBase().toColourspace('cmyk').jpeg().toBuffer()
    const marked = afterSoi(jpeg, jpegSegment(0xfe, planted.comment))
    const { bytes } = strip(marked, 'jpeg')
    expect((await pixels(bytes)).equals(await pixels(jpeg))).toBe(true)
    expect(bytes.includes('Adobe')).toBe(true)
  })

  test('the chunks of an APNG stay', async () => {
    const png = await drawBase().png().toBuffer()
    const control = pngChunk('acTL', Buffer.from([0, 0, 0, 1, 0, 0, 0, 0]))
    const frame = pngChunk(
      'fcTL',
      Buffer.concat([Buffer.alloc(4), Buffer.from([0, 0, 0, 64, 0, 0, 0, 48]), Buffer.alloc(14)]),
    )
    const apng = insertChunks(png, 'IDAT', control, frame, pngChunk('tIME', Buffer.alloc(7)))
    const { bytes } = strip(apng, 'png')
    expect(['acTL', 'fcTL', 'tIME'].map((type) => bytes.includes(type))).toEqual([true, true, false])
  })

  test('chunks inside a frame of a WebP go too', async () => {
    const webp = await drawAnimation('webp', { width: 20, height: 10, frames: 2 })
    const at = webp.indexOf('ANMF')
    const size = webp.readUInt32LE(at + 4)
    const hidden = riffChunk('PRIV', Buffer.from(planted.owner))
    const file = Buffer.concat([webp.subarray(0, at + 8 + size), hidden, webp.subarray(at + 8 + size)])
    file.writeUInt32LE(size + hidden.length, at + 4)
    file.writeUInt32LE(file.length - 8, 4)
    const { bytes } = strip(file, 'webp')
    expect(bytes.equals(webp)).toBe(true)
  })

  test('thumbnails in the chain of a TIFF go', async () => {
    const tiff = await drawBase().tiff({ pyramid: true, tile: true, tileWidth: 16, tileHeight: 16 }).toBuffer()
    expect((await sharp(tiff).metadata()).pages).toBeGreaterThan(1)
    const { bytes } = strip(tiff, 'tiff')
    expect((await sharp(bytes).metadata()).pages).toBe(1)
    expect((await firstPage(bytes)).equals(await firstPage(tiff))).toBe(true)
  })
})

describe('files that are something else as well', () => {
  const jpeg = () => drawBase().jpeg().toBuffer()
  const inComment = async (text: string | Buffer) => afterSoi(await jpeg(), jpegSegment(0xfe, text))
  const appended = async (bytes: Buffer | string) => Buffer.concat([await jpeg(), Buffer.from(bytes)])
  test.each<[string, string, () => Promise<Buffer>]>([
    ['a ZIP behind it', 'a ZIP archive', () => appended(drawZip())],
    [
      'a ZIP with offsets from the start of the file',
      'a ZIP archive',
      async () => appended(drawZip((await jpeg()).length)),
    ],
    ['a RAR behind it', 'a RAR archive', () => appended('Rar!\x1a\x07\x01\0')],
    ['a 7z behind it', 'a 7z archive', () => appended(Buffer.from('7z\xbc\xaf\x27\x1c', 'latin1'))],
    ['a PDF in a comment', 'a PDF', () => inComment('%PDF-1.7\n')],
    ['an ELF behind it', 'an ELF program', () => appended('\x7fELF\x02\x01\x01\0')],
    [
      'a Windows program behind it',
      'a Windows program',
      () =>
        appended(
          Buffer.concat([Buffer.from('MZ'), Buffer.alloc(58), Buffer.from([64, 0, 0, 0]), Buffer.from('PE\0\0')]),
        ),
    ],
    ['PHP in a comment', 'PHP code', () => inComment('<?php system($_GET[0]); ?>')],
    ['a script in XMP', 'a script', () => inComment('<ScRiPt>alert(1)</script>')],
    ['a shell script behind it', 'a script', () => appended('#!/bin/sh\nid\n')],
    ['a page behind it', 'an HTML page', () => appended('<!DOCTYPE html><title>x</title>')],
  ])('%s is refused', async (_, what, draw) => {
    const bytes = await draw()
    expect(() => strip(bytes, 'jpeg')).toThrow(
      expect.objectContaining({ code: 'type_mismatch', detail: expect.stringContaining(what) as string }),
    )
  })

  test('PHP in what is kept is found too', async () => {
    const png = await drawBase().png().toBuffer()
    const file = insertChunks(png, 'IDAT', pngChunk('iCCP', Buffer.from('x\0\0<?php phpinfo(); ?>')))
    expect(() => strip(file, 'png')).toThrow(expect.objectContaining({ code: 'type_mismatch' }))
  })

  test('the video of a motion photo and a second picture are cut, not refused', async () => {
    const video = Buffer.concat([Buffer.from([0, 0, 0, 16]), Buffer.from('ftypmp42\0\0\0\0'), Buffer.alloc(500, 7)])
    const still = await jpeg()
    const { bytes } = strip(Buffer.concat([still, still, video]), 'jpeg')
    expect(bytes.equals(still)).toBe(true)
  })
})

describe('boxes without end', () => {
  test.each(['mdat', 'free'])('an AVIF with millions of empty %s is undecodable', async (type) => {
    const flood = Buffer.alloc(8 * 1_000_000, Buffer.concat([Buffer.from([0, 0, 0, 8]), Buffer.from(type)]))
    const bytes = Buffer.concat([await drawBase().avif({ effort: 0 }).toBuffer(), flood])
    expect(() => strip(bytes, 'avif')).toThrow(expect.objectContaining({ code: 'undecodable' }) as Error)
  })
})

describe('whatever comes', () => {
  const formats: readonly StrippedFormat[] = ['jpeg', 'png', 'webp', 'gif', 'avif', 'heic', 'tiff']
  const heads: Readonly<Record<StrippedFormat, Buffer>> = {
    jpeg: Buffer.from([0xff, 0xd8, 0xff]),
    png: Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    webp: Buffer.from('RIFF\x40\0\0\0WEBP'),
    gif: Buffer.from('GIF89a\x01\0\x01\0\0\0\0'),
    avif: Buffer.from('\0\0\0\x14ftypavif\0\0\0\0mif1\0\0\0\x40meta\0\0\0\0'),
    heic: Buffer.from('\0\0\0\x14ftypheic\0\0\0\0mif1\0\0\0\x40meta\0\0\0\0'),
    tiff: Buffer.from('II*\0\x08\0\0\0'),
  }

  /** Ends as edits that fit, or as a refusal; never as another error. */
  function assertTotal(bytes: Buffer, format: StrippedFormat): void {
    try {
      const { edits, bytes: stripped } = strip(bytes, format, 6)
      let at = 0
      for (const { start, end } of edits) {
        expect(start >= at && end >= start && end <= bytes.length).toBe(true)
        at = end
      }
      expect(applyAll(bytes, edits).equals(stripped)).toBe(true)
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      expect(['undecodable', 'type_mismatch']).toContain(error.code)
    }
  }

  test.each(formats)('arbitrary bytes as %s', (format) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.boolean(), (noise, hasHead) => {
        assertTotal(Buffer.concat([hasHead ? heads[format] : Buffer.alloc(0), noise]), format)
      }),
      { numRuns: 400 },
    )
  })

  test.each(Object.entries(samples))('%s with bytes changed, cut and repeated', async (_, draw) => {
    const { bytes, format } = await draw()
    const changes = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.constantFrom(0, 1, 0x7f, 0x80, 0xff, 0x2a)), {
      maxLength: 6,
    })
    fc.assert(
      fc.property(changes, fc.nat(bytes.length), fc.nat(bytes.length), (changed, from, to) => {
        const file = Buffer.from(bytes)
        for (const [at, value] of changed) file[at] = value
        assertTotal(file, format)
        assertTotal(file.subarray(0, from), format)
        assertTotal(Buffer.concat([file.subarray(0, from), file.subarray(to)]), format)
      }),
      { numRuns: 150 },
    )
  })

  test.each<[string, StrippedFormat, (length: number) => Buffer]>([
    ['a JPEG of fill bytes', 'jpeg', (length) => Buffer.concat([heads.jpeg, Buffer.alloc(length, 0xff)])],
    [
      'a JPEG of empty segments',
      'jpeg',
      (length) => Buffer.concat([heads.jpeg.subarray(0, 2), Buffer.alloc(length, Buffer.from([0xff, 0xe5, 0, 2]))]),
    ],
    [
      'a JPEG of needed and other segments',
      'jpeg',
      (length) =>
        Buffer.concat([
          heads.jpeg.subarray(0, 2),
          Buffer.alloc(length, Buffer.from([0xff, 0xe5, 0, 2, 0xff, 0xdd, 0, 2])),
        ]),
    ],
    [
      'a scan of stuffed bytes',
      'jpeg',
      (length) =>
        Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xda, 0, 2]), Buffer.alloc(length, Buffer.from([0xff, 0]))]),
    ],
    [
      'a PNG of empty chunks',
      'png',
      (length) =>
        Buffer.concat([heads.png, Buffer.alloc(length, Buffer.from([0, 0, 0, 0, 0x61, 0x62, 0x43, 0x64, 0, 0, 0, 0]))]),
    ],
    [
      'a GIF of comments',
      'gif',
      (length) => Buffer.concat([heads.gif, Buffer.alloc(length, Buffer.from([0x21, 0xfe, 1, 65, 0]))]),
    ],
    [
      'a HEIF of empty boxes',
      'heic',
      (length) => Buffer.concat([heads.heic.subarray(0, 20), Buffer.alloc(length, Buffer.from('\0\0\0\x08free'))]),
    ],
    ['a HEIF of nested boxes', 'heic', nestedBoxes],
    ['a TIFF of directories that point to the next two bytes', 'tiff', overlappingDirectories],
  ])('%s takes no longer than its length explains', (_, format, build) => {
    const bytes = build(4_000_000)
    const started = performance.now()
    assertTotal(bytes, format)
    expect(performance.now() - started).toBeLessThan(3_000)
  })

  function nestedBoxes(length: number): Buffer {
    const depth = Math.floor(length / 8)
    const bytes = Buffer.alloc(depth * 8)
    for (let level = 0; level < depth; level++) {
      bytes.writeUInt32BE((depth - level) * 8, level * 8)
      bytes.write('trak', level * 8 + 4)
    }
    const moov = Buffer.from('\0\0\0\0moov')
    moov.writeUInt32BE(bytes.length + 8)
    return Buffer.concat([heads.heic.subarray(0, 20), moov, bytes])
  }

  function overlappingDirectories(length: number): Buffer {
    const bytes = Buffer.alloc(length, 0)
    bytes.write('II*\0\x08\0\0\0', 'latin1')
    for (let at = 8; at + 70_000 < length; at += 16) {
      bytes.writeUInt16LE(5_000, at)
      bytes.writeUInt32LE(at + 16, Math.min(at + 2 + 60_000, length - 4))
    }
    return bytes
  }
})
