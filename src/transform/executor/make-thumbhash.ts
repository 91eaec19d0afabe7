import { rgbaToThumbHash } from 'thumbhash'
import type { Raster } from './raster.ts'
import { rasterSource } from './raster.ts'

/** The most that the hash takes; more would not change it. */
const maxSide = 100

/** Base64 of the ThumbHash (evanw.github.io/thumbhash): some 25 bytes that a blurred placeholder is made of. */
export async function makeThumbhash(picture: Raster): Promise<string> {
  const { data, info } = await rasterSource(picture)
    .open()
    .toColourspace('srgb')
    .ensureAlpha()
    .resize(maxSide, maxSide, { fit: 'inside', withoutEnlargement: true })
    .raw()
    .toBuffer({ resolveWithObject: true })
  return Buffer.from(rgbaToThumbHash(info.width, info.height, data)).toString('base64')
}
