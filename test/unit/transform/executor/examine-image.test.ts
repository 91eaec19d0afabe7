import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { thumbHashToAverageRGBA, thumbHashToApproximateAspectRatio } from 'thumbhash'
import type { ExamineLimits } from '../../../../src/transform/executor/examine-image.ts'
import { examineImage } from '../../../../src/transform/executor/examine-image.ts'
import { hashDistance } from '../../../../src/transform/executor/perceptual-hash.ts'
import { drawBase, drawExif, jpegSegment, planted, xmpPacket } from '../../../helpers/draw-metadata.ts'
import {
  drawAlphaPng,
  drawAnimatedGif,
  drawAnimation,
  drawDeepPng,
  drawGradient,
  drawQuadrants,
  drawQuadrantsJpeg,
  drawSvg,
} from '../../../helpers/draw-picture.ts'

const limits: ExamineLimits = { maxPixels: 10_000_000, maxFrames: 20, allowSvg: false, timeoutSeconds: 20 }
const refusal = (code: string) => expect.objectContaining({ code }) as unknown

async function factsOf(bytes: Buffer, changed: Partial<ExamineLimits> = {}) {
  return (await examineImage(bytes, { ...limits, ...changed })).facts
}

async function withExif(orientation: number): Promise<Buffer> {
  const jpeg = await drawQuadrantsJpeg(80, 60)
  const segment = jpegSegment(0xe1, 'Exif\0\0', await drawExif(orientation))
  return Buffer.concat([jpeg.subarray(0, 2), segment, jpeg.subarray(2)])
}

describe('facts', () => {
  test('size is told as the picture is seen', async () => {
    expect(await factsOf(await withExif(6))).toMatchObject({
      format: 'jpeg',
      width: 60,
      height: 80,
      frames: 1,
      hasAlpha: false,
    })
    expect(await factsOf(await withExif(3))).toMatchObject({ width: 80, height: 60 })
  })

  test.each([
    ['a PNG with alpha', () => drawAlphaPng(60, 40), { format: 'png', hasAlpha: true, frames: 1 }],
    ['a deep PNG', () => drawDeepPng(60, 40), { format: 'png', hasAlpha: false, frames: 1 }],
    ['a grey PNG', () => drawBase().greyscale().png().toBuffer(), { format: 'png', hasAlpha: false }],
    ['a GIF', () => drawAnimatedGif(5), { format: 'gif', frames: 5, width: 40, height: 30 }],
    ['a WebP', () => drawAnimation('webp', { width: 40, height: 30, frames: 4 }), { format: 'webp', frames: 4 }],
    ['an AVIF', () => drawBase().avif({ effort: 0 }).toBuffer(), { format: 'avif', width: 64, height: 48 }],
    ['a TIFF', () => drawBase().tiff().toBuffer(), { format: 'tiff', width: 64, height: 48 }],
    ['a thin line', () => sharp(await1x(900)).png().toBuffer(), { width: 900, height: 1 }],
  ])('%s', async (_, draw, expected) => {
    const { facts, preview } = await examineImage(await draw(), limits)
    expect(facts).toMatchObject(expected)
    expect(facts.dominantColor).toMatch(/^#[0-9a-f]{6}$/)
    expect(facts.perceptualHash).toMatch(/^[0-9a-f]{16}$/)
    expect(Buffer.from(facts.thumbhash, 'base64').length).toBeGreaterThan(4)
    expect((await sharp(preview).metadata()).format).toBe('jpeg')
  })

  test('EXIF tells camera, lens and time, cleaned, and nothing else', async () => {
    const facts = await factsOf(await withExif(1))
    expect(facts.exif).toEqual({
      make: 'Maker and Sons',
      model: 'Model X',
      lens: 'Lens 24mm',
      takenAt: '2024-05-06T07:08:09+02:00',
    })
    for (const text of Object.values(planted)) expect(JSON.stringify(facts)).not.toContain(text)
  })

  test('a block whose fields all point to the same bytes is not read', async () => {
    const exif = await drawExif(1)
    const fields = 4_000
    const bomb = Buffer.alloc(10 + fields * 12 + 4)
    exif.copy(bomb, 0, 0, 8)
    bomb.writeUInt16LE(fields, 8)
    for (let index = 0; index < fields; index++) {
      bomb.writeUInt16LE(0x9000 + index, 10 + index * 12)
      bomb.writeUInt16LE(1, 12 + index * 12)
      bomb.writeUInt32LE(48_000, 14 + index * 12)
    }
    const jpeg = await drawQuadrantsJpeg(80, 60)
    const started = performance.now()
    const facts = await factsOf(
      Buffer.concat([jpeg.subarray(0, 2), jpegSegment(0xe1, 'Exif\0\0', bomb), jpeg.subarray(2)]),
    )
    expect(facts.exif).toEqual({})
    expect(performance.now() - started).toBeLessThan(1_500)
  })

  test('thumbhash and dominant colour are those of the picture as it is seen', async () => {
    const orange = await sharp({ create: { width: 300, height: 150, channels: 3, background: '#f08020' } })
      .png()
      .toBuffer()
    const facts = await factsOf(orange)
    expect(facts.dominantColor).toBe('#f08020')
    const hash = Buffer.from(facts.thumbhash, 'base64')
    const { r, g, b } = thumbHashToAverageRGBA(hash)
    expect([r, g, b].map((value) => Math.round(value * 10))).toEqual([9, 5, 1])
    expect(thumbHashToApproximateAspectRatio(hash)).toBeGreaterThan(1.4)
    expect(
      thumbHashToApproximateAspectRatio(Buffer.from((await factsOf(await withExif(6))).thumbhash, 'base64')),
    ).toBeLessThan(1)
  })

  test('what cannot be seen has no say in the dominant colour', async () => {
    const dot = await sharp({ create: { width: 20, height: 20, channels: 4, background: '#0000ff' } })
      .png()
      .toBuffer()
    const mostlyClear = await sharp({
      create: { width: 100, height: 100, channels: 4, background: { r: 255, g: 0, b: 0, alpha: 0 } },
    })
      .composite([{ input: dot }])
      .png()
      .toBuffer()
    expect((await factsOf(mostlyClear)).dominantColor).toBe('#0000ff')
  })

  test('the preview is a JPEG of at most 512 px, without metadata', async () => {
    const large = await drawGradient(1500, 700)
      .withExif({ IFD0: { Artist: planted.owner } })
      .jpeg()
      .toBuffer()
    const { preview } = await examineImage(large, limits)
    expect(await sharp(preview).metadata()).toMatchObject({ format: 'jpeg', width: 512, height: 239 })
    expect((await sharp(preview).metadata()).exif).toBeUndefined()
  })
})

function await1x(width: number) {
  return { create: { width, height: 1, channels: 3 as const, background: '#123456' } }
}

describe('the perceptual hash', () => {
  const hashOf = async (bytes: Buffer) => (await factsOf(bytes)).perceptualHash
  test('stays near through scaling, encoding and turning by a tag', async () => {
    const picture = await drawPicture(3, 800, 600)
    const hash = await hashOf(picture)
    const variants = [
      sharp(picture).resize(200).jpeg({ quality: 60 }),
      sharp(picture).resize(1200).webp({ quality: 50 }),
      sharp(picture).resize(500).avif({ quality: 40, effort: 0 }),
      sharp(picture).modulate({ brightness: 1.1 }).png(),
    ]
    for (const variant of variants)
      expect(hashDistance(hash, await hashOf(await variant.toBuffer()))).toBeLessThanOrEqual(6)
    const turned = await sharp(picture).rotate(270).withMetadata({ orientation: 6 }).jpeg().toBuffer()
    expect(hashDistance(hash, await hashOf(turned))).toBeLessThanOrEqual(4)
  })

  test('is far from that of other pictures', async () => {
    const hashes = await Promise.all([3, 5, 8, 13].map(async (seed) => hashOf(await drawPicture(seed, 400, 300))))
    hashes.push(await hashOf(await drawQuadrants(400, 300).png().toBuffer()))
    for (const [index, hash] of hashes.entries()) {
      for (const other of hashes.slice(index + 1)) expect(hashDistance(hash, other)).toBeGreaterThan(15)
    }
  })
})

/** Soft blobs at places that the seed gives. */
function drawPicture(seed: number, width: number, height: number): Promise<Buffer> {
  const random = (step: number): number => (Math.sin(seed * 127.1 + step * 311.7) * 43_758.5453) % 1
  const blobs = Array.from({ length: 14 }, (_, index) => {
    const [x, y, radius, shade] = [0, 1, 2, 3].map((part) => Math.abs(random(index * 4 + part)))
    return `<circle cx="${x! * width}" cy="${y! * height}" r="${(radius! * height) / 3}" fill="rgb(${shade! * 255},${255 - shade! * 200},${shade! * 99})"/>`
  })
  return sharp(
    Buffer.from(
      `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><rect width="100%" height="100%" fill="#888"/>${blobs.join('')}</svg>`,
    ),
  )
    .png()
    .toBuffer()
}

describe('refusals', () => {
  test.each<[string, string, () => Promise<Buffer>, Partial<ExamineLimits>]>([
    ['text', 'not_an_image', () => Promise.resolve(Buffer.from('just text, whatever its name')), {}],
    ['more pixels than allowed', 'too_many_pixels', () => drawBase(100, 100).png().toBuffer(), { maxPixels: 9_999 }],
    ['more frames than allowed', 'too_many_frames', () => drawAnimatedGif(5), { maxFrames: 4 }],
    ['more pixels in all frames than allowed', 'too_many_pixels', () => drawAnimatedGif(5), { maxPixels: 4 * 1200 }],
    ['an SVG where none is allowed', 'type_not_allowed', () => Promise.resolve(drawSvg()), {}],
  ])('%s', async (_, code, draw, changed) => {
    await expect(factsOf(await draw(), changed)).rejects.toEqual(refusal(code))
  })

  test.each<[string, () => Promise<Buffer>]>([
    ['JPEG', () => drawGradient(300, 200).jpeg().toBuffer()],
    ['progressive JPEG', () => drawGradient(300, 200).jpeg({ progressive: true }).toBuffer()],
    ['PNG', () => drawGradient(300, 200).png().toBuffer()],
    ['WebP', () => drawGradient(300, 200).webp().toBuffer()],
    ['GIF', () => drawAnimatedGif(6, 120, 90)],
    ['animated WebP', () => drawAnimation('webp', { width: 120, height: 90, frames: 6 })],
    ['AVIF', () => drawGradient(300, 200).avif({ effort: 0 }).toBuffer()],
    ['TIFF', () => drawGradient(300, 200).tiff({ compression: 'lzw' }).toBuffer()],
  ])('a %s that was cut off', async (_, draw) => {
    const whole = await draw()
    await expect(factsOf(whole)).resolves.toBeDefined()
    for (const share of [0.5, 0.9]) {
      await expect(factsOf(whole.subarray(0, Math.floor(whole.length * share)))).rejects.toEqual(refusal('undecodable'))
    }
  })

  test('a file that looks different without its metadata', async () => {
    const gif = await sharp({ create: { width: 20, height: 20, channels: 4, background: '#f000' } })
      .gif()
      .toBuffer()
    await expect(factsOf(gif)).resolves.toMatchObject({ hasAlpha: true })
    // Some take a control block of an odd length for one that says what is transparent, and some for none.
    const at = gif.indexOf(Buffer.from([0x21, 0xf9, 4]))
    const control = Buffer.from([0x21, 0xf9, 5, ...gif.subarray(at + 3, at + 7), 0, 0])
    const odd = Buffer.concat([gif.subarray(0, at), control, gif.subarray(at + 8)])
    expect((await sharp(odd).metadata()).hasAlpha).toBe(true)
    await expect(factsOf(odd)).rejects.toEqual(refusal('undecodable'))
  })

  test('a later frame that is damaged', async () => {
    const webp = await drawAnimation('webp', { width: 120, height: 90, frames: 6 })
    await expect(factsOf(webp)).resolves.toMatchObject({ frames: 6 })
    const bitstream = webp.lastIndexOf('ANMF') + 8 + 16 + 8
    await expect(factsOf(Buffer.from(webp).fill(0xff, bitstream + 10))).rejects.toEqual(refusal('undecodable'))
  })
})

describe('SVG', () => {
  test('is stored as its sanitised self', async () => {
    const svg = drawSvg('<script>alert(1)</script><metadata>PLANTED</metadata>')
    const { edits, ...facts } = await factsOf(svg, { allowSvg: true })
    expect(facts).toMatchObject({ format: 'svg', width: 200, height: 100 })
    expect(edits).toHaveLength(1)
    expect(edits[0]).toMatchObject({ start: 0, end: svg.length })
    const stored = Buffer.from(edits[0]!.bytes, 'base64').toString()
    expect(stored).toContain('<rect')
    expect(stored).not.toMatch(/script|PLANTED/)
  })

  test('pictures inside it lose their metadata', async () => {
    const jpeg = await drawBase().jpeg().toBuffer()
    const inside = Buffer.concat([
      jpeg.subarray(0, 2),
      jpegSegment(0xe1, 'http://ns.adobe.com/xap/1.0/\0', xmpPacket),
      jpeg.subarray(2),
    ])
    const svg = drawSvg(`<image width="9" height="9" href="data:image/jpeg;base64,${inside.toString('base64')}"/>`)
    const { edits } = await factsOf(svg, { allowSvg: true })
    const stored = Buffer.from(edits[0]!.bytes, 'base64').toString()
    const [, kept] = /base64,([^"]+)"/.exec(stored) ?? []
    expect(Buffer.from(kept ?? '', 'base64').equals(jpeg)).toBe(true)
  })
})
