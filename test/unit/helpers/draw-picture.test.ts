import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import {
  colorAt,
  colorDistance,
  drawAlphaPng,
  drawAnimatedGif,
  drawCmykJpeg,
  drawDeepPng,
  drawQuadrantsJpeg,
  quadrantColors,
} from '../../helpers/draw-picture.ts'

describe('test pictures are what their names say', () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'quadrants with orientation %i are upright once it is honoured',
    async (orientation) => {
      const stored = await drawQuadrantsJpeg(80, 60, { orientation })
      expect((await sharp(stored).metadata()).orientation).toBe(orientation)
      const upright = await sharp(stored).autoOrient().png().toBuffer()
      const { width, height } = await sharp(upright).metadata()
      expect([width, height]).toEqual([80, 60])
      expect(colorDistance(await colorAt(upright, 0.2, 0.2), quadrantColors.topLeft)).toBeLessThan(12)
      expect(colorDistance(await colorAt(upright, 0.8, 0.2), quadrantColors.topRight)).toBeLessThan(12)
      expect(colorDistance(await colorAt(upright, 0.2, 0.8), quadrantColors.bottomLeft)).toBeLessThan(12)
    },
  )

  test('profile, GPS and orientation are really in the file', async () => {
    const metadata = await sharp(await drawQuadrantsJpeg(40, 40, { orientation: 6, icc: 'p3', gps: true })).metadata()
    expect(metadata.icc).toBeDefined()
    expect(metadata.orientation).toBe(6)
    expect(metadata.exif?.includes(Buffer.from([0x25, 0x88, 0x04, 0x00]))).toBe(true)
  })

  test('CMYK has four inks, deep PNG sixteen bits, alpha PNG alpha, the GIF its frames', async () => {
    expect((await sharp(await drawCmykJpeg(40, 40)).metadata()).channels).toBe(4)
    expect((await sharp(await drawDeepPng(40, 10)).metadata()).depth).toBe('ushort')
    expect((await sharp(await drawAlphaPng(40, 40)).metadata()).hasAlpha).toBe(true)
    expect((await sharp(await drawAnimatedGif(5)).metadata()).pages).toBe(5)
  })
})
