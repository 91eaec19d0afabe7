import fc from 'fast-check'
import sharp from 'sharp'
import { rgbaToThumbHash, thumbHashToAverageRGBA, thumbHashToRGBA } from 'thumbhash'
import { describe, expect, test } from 'vitest'
import { averageColor, placeholder } from '../../../src/client/placeholder.ts'

const pictures = fc
  .record({
    width: fc.integer({ min: 1, max: 24 }),
    height: fc.integer({ min: 1, max: 24 }),
    isOpaque: fc.boolean(),
    bytes: fc.uint8Array({ minLength: 24 * 24 * 4, maxLength: 24 * 24 * 4 }),
  })
  .map(({ width, height, isOpaque, bytes }) => {
    const rgba = bytes.slice(0, width * height * 4).map((byte, index) => (isOpaque && index % 4 === 3 ? 255 : byte))
    return rgbaToThumbHash(width, height, rgba)
  })

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')

describe('placeholder', () => {
  test('shows what the reference decoder shows, as a PNG that a decoder takes', async () => {
    await fc.assert(
      fc.asyncProperty(pictures, async (hash) => {
        const url = placeholder(base64(hash))
        expect(url).toMatch(/^data:image\/png;base64,/)
        const png = Buffer.from(url.slice(url.indexOf(',') + 1), 'base64')
        const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true })
        const wanted = thumbHashToRGBA(hash)
        expect([info.width, info.height, info.channels]).toEqual([wanted.w, wanted.h, 4])
        expect(Math.max(...data.map((byte, index) => Math.abs(byte - wanted.rgba[index]!)))).toBeLessThanOrEqual(1)
      }),
      { numRuns: 60 },
    )
  })

  test('takes bytes, and base64 of the URL alphabet', () => {
    const bytes = rgbaToThumbHash(2, 1, new Uint8Array([255, 0, 0, 255, 0, 0, 255, 255]))
    const url = placeholder(bytes)
    expect(placeholder(base64(bytes))).toBe(url)
    expect(placeholder(Buffer.from(bytes).toString('base64url'))).toBe(url)
  })

  test.each(['', 'AAAA', '{not base64}'])('refuses %j', (text) => {
    expect(() => placeholder(text)).toThrow()
  })
})

describe('averageColor', () => {
  test('is the colour of the reference decoder', () => {
    fc.assert(
      fc.property(pictures, (hash) => {
        const { r, g, b, a } = thumbHashToAverageRGBA(hash)
        const color = averageColor(base64(hash))
        const found = [...Buffer.from(color.slice(1), 'hex')]
        const wanted = [r, g, b, a].map((share) => share * 255)
        expect(color).toMatch(/^#([0-9a-f]{6}|[0-9a-f]{8})$/)
        if (found.length === 3) expect(a).toBe(1)
        found.forEach((byte, index) => expect(Math.abs(byte - wanted[index]!)).toBeLessThan(1))
      }),
    )
  })
})
