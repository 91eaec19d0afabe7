import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { probeImage } from '../../../../src/transform/executor/probe-image.ts'
import { animation, fourQuarters } from '../../../helpers/render-fixtures.ts'

const limits = { maxPixels: 1_000_000 }
const svgText = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 30 20"/>'

describe('probeImage', () => {
  test.each(['jpeg', 'png', 'webp', 'gif', 'tiff', 'avif'] as const)('knows %s by its content', async (format) => {
    const bytes = await sharp(await fourQuarters())
      .toFormat(format)
      .toBuffer()
    expect(await probeImage(bytes, limits)).toMatchObject({
      format,
      width: 80,
      height: 60,
      frames: 1,
      orientation: 1,
      byteLength: bytes.length,
    })
  })

  test.each(['gif', 'webp'] as const)('counts the frames of %s and measures one of them', async (format) => {
    const bytes = await animation(format, ['#f00', '#0f0', '#00f'])
    expect(await probeImage(bytes, limits)).toMatchObject({ format, width: 40, height: 30, frames: 3 })
  })

  test.each([
    ['plain', svgText],
    ['with a declaration', `<?xml version="1.0"?>\n${svgText}`],
    ['with a comment that names html', `<!-- <html> -->${svgText}`],
    [
      'with a DOCTYPE',
      `<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">${svgText}`,
    ],
    [
      'with an internal subset',
      `<!DOCTYPE svg [ <!ENTITY ns "http://www.w3.org/2000/svg"> ]>${svgText.replace('http://www.w3.org/2000/svg', '&ns;')}`,
    ],
    ['after a byte order mark', `\ufeff${svgText}`],
  ])('knows an SVG %s', async (_name, text) => {
    expect(await probeImage(Buffer.from(text), limits)).toMatchObject({
      format: 'svg',
      width: 30,
      height: 20,
      orientation: 1,
    })
  })

  test.each([
    ['text', 'hello'],
    ['nothing', ''],
    ['HTML', '<!DOCTYPE html><html><svg xmlns="http://www.w3.org/2000/svg"/></html>'],
    ['XML', '<?xml version="1.0"?><feed/>'],
    ['a PDF', '%PDF-1.7 ...'],
    ['an unclosed comment', '<!-- <svg>'],
  ])('%s is not an image', async (_name, text) => {
    await expect(probeImage(Buffer.from(text), limits)).rejects.toMatchObject({ code: 'not_an_image', status: 422 })
  })

  test('a damaged header is undecodable, and says nothing of our insides', async () => {
    const bytes = (
      await sharp(await fourQuarters())
        .jpeg()
        .toBuffer()
    ).subarray(0, 30)
    await expect(probeImage(bytes, limits)).rejects.toMatchObject({
      code: 'undecodable',
      detail: expect.not.stringMatching(/vips|buffer/i) as string,
    })
  })

  test.each([
    [
      'a picture',
      () =>
        sharp({ create: { width: 2000, height: 2000, channels: 3, background: '#000' } })
          .png()
          .toBuffer(),
    ],
    ['an SVG', () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="20000" height="20000"/>')],
  ])('%s with more pixels than allowed is refused from its header', async (_name, make) => {
    await expect(probeImage(await make(), limits)).rejects.toMatchObject({ code: 'too_many_pixels' })
  })

  /** Frames of 1x1: libvips draws screens of unlikely sizes as the first frame, browsers as they are. */
  function drawDotOn(width: number, height: number): Buffer {
    const screen = Buffer.alloc(4)
    screen.writeUInt16LE(width, 0)
    screen.writeUInt16LE(height, 2)
    const header = [Buffer.from('GIF89a'), screen, Buffer.from([0x80, 0, 0, 0, 0, 0, 255, 255, 255])]
    const frame = Buffer.from([0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x44, 1, 0])
    return Buffer.concat([...header, frame, frame, Buffer.from([0x3b])])
  }

  test('a GIF has the size that it is drawn at', async () => {
    const bytes = drawDotOn(800, 600)
    const { width, height } = await probeImage(bytes, limits)
    const drawn = await sharp(bytes).raw().toBuffer({ resolveWithObject: true })
    expect({ width, height }).toEqual({ width: drawn.info.width, height: drawn.info.height })
  })

  test('a GIF whose screen has more pixels than allowed is refused, whatever size it would be drawn at', async () => {
    const bytes = drawDotOn(65_535, 65_535)
    expect(await sharp(bytes).metadata()).toMatchObject({ width: 1, height: 1 })
    await expect(probeImage(bytes, limits)).rejects.toMatchObject({ code: 'too_many_pixels' })
  })
})
