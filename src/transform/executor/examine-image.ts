import type { SharpOptions } from 'sharp'
import sharp from 'sharp'
import { AppError } from '../../errors.ts'
import { uprightSize } from '../image/geometry.ts'
import type { ImageFacts } from '../image/image-facts.ts'
import type { ImageMetadata } from '../image/image-metadata.ts'
import type { StrippedFile } from '../image/metadata-edits/strip-metadata.ts'
import { stripMetadata } from '../image/metadata-edits/strip-metadata.ts'
import { enforceLimits } from '../planner/enforce-limits.ts'
import { convertToSrgb } from './color-output.ts'
import { decodeFailure } from './decode-failure.ts'
import { decodeHeic } from './decode-heic.ts'
import { dominantColor } from './dominant-color.ts'
import { makeThumbhash } from './make-thumbhash.ts'
import { perceptualHash } from './perceptual-hash.ts'
import { probeImage } from './probe-image.ts'
import type { Raster } from './raster.ts'
import { rasterSource } from './raster.ts'
import { readSafeExif } from './read-safe-exif.ts'
import { sniffFormat } from './sniff-format.ts'
import { stripSvg } from './strip-svg.ts'

export type ExamineLimits = {
  readonly maxPixels: number
  readonly maxFrames: number
  readonly allowSvg: boolean
  readonly timeoutSeconds: number
}

/** `preview` is a JPEG of at most 512 px a side, for moderators. */
export type ExaminedImage = { readonly facts: ImageFacts; readonly preview: Buffer }

const previewSide = 512
const previewQuality = 80
/** Frames behind the first are only decoded to see that they can be. */
const frameSide = 32

/**
 * Judges an uploaded file by decoding all of it, in the form in which it will be stored: after its metadata was taken. Throws
 * AppErrors only: `not_an_image`, `type_not_allowed` (an SVG where none is allowed), `type_mismatch` (it is something else as
 * well), `too_many_pixels`, `too_many_frames`, `undecodable`, `render_too_slow`.
 */
export async function examineImage(bytes: Buffer, limits: ExamineLimits): Promise<ExaminedImage> {
  try {
    const metadata = await readHeader(bytes, limits)
    const stripped = await strip(bytes, metadata, limits)
    await assertSamePicture(stripped.bytes, metadata, limits)
    const picture = await decodeWhole(stripped.bytes, metadata, limits)
    const { width, height } = uprightSize(metadata, metadata.orientation)
    const facts = {
      ...{ format: metadata.format, width, height, hasAlpha: metadata.hasAlpha, frames: metadata.frames },
      exif: readSafeExif(await exifBlock(bytes, metadata)),
      thumbhash: await makeThumbhash(picture),
      dominantColor: await dominantColor(picture),
      perceptualHash: await perceptualHash(picture),
      edits: stripped.edits,
    }
    return { facts, preview: await drawPreview(picture) }
  } catch (error) {
    throw decodeFailure(error)
  }
}

async function readHeader(bytes: Buffer, limits: ExamineLimits): Promise<ImageMetadata> {
  if (!limits.allowSvg && sniffFormat(bytes) === 'svg') {
    throw new AppError('type_not_allowed', { detail: 'SVG files are not accepted here.' })
  }
  const metadata = await probeImage(bytes, limits)
  enforceLimits(metadata, metadata.frames, limits)
  return metadata
}

function strip(
  bytes: Buffer,
  { format, orientation }: ImageMetadata,
  limits: ExamineLimits,
): StrippedFile | Promise<StrippedFile> {
  return format === 'svg' ? stripSvg(bytes, limits) : stripMetadata(bytes, { format, orientation })
}

/** A file that reads differently once its metadata is gone was made to be read in two ways. */
async function assertSamePicture(stripped: Buffer, metadata: ImageMetadata, limits: ExamineLimits): Promise<void> {
  const after = await probeImage(stripped, limits)
  const names = ['format', 'width', 'height', 'orientation', 'hasAlpha', 'frames', 'hasProfile'] as const
  const differing = names.find((name) => after[name] !== metadata[name])
  if (differing === undefined) return
  throw new AppError('undecodable', { detail: 'The structure of the file is ambiguous', details: { differing } })
}

/** Every frame; resolves to the first one, upright and at the size of a preview. */
async function decodeWhole(stripped: Buffer, metadata: ImageMetadata, limits: ExamineLimits): Promise<Raster> {
  const decodable = metadata.format === 'heic' ? await decodeHeic(stripped) : stripped
  if (metadata.frames > 1) {
    await openStrictly(decodable, limits, { pages: -1 })
      .resize(frameSide, frameSide, { fit: 'inside' })
      .raw()
      .toBuffer()
  }
  const { data, info } = await convertToSrgb(openStrictly(decodable, limits), metadata)
    .autoOrient()
    .resize(previewSide, previewSide, { fit: 'inside', withoutEnlargement: true })
    .raw()
    .toBuffer({ resolveWithObject: true })
  return { pixels: data, size: { width: info.width, height: info.height }, channels: info.channels, frames: 1 }
}

function openStrictly(bytes: Buffer, limits: ExamineLimits, options: SharpOptions = {}) {
  return sharp(bytes, { failOn: 'error', limitInputPixels: limits.maxPixels, ...options }).timeout({
    seconds: limits.timeoutSeconds,
  })
}

/** A TIFF has the fields of EXIF in itself. */
async function exifBlock(bytes: Buffer, { format }: ImageMetadata): Promise<Buffer | undefined> {
  if (format === 'svg') return undefined
  return format === 'tiff' ? bytes : (await sharp(bytes).metadata()).exif
}

function drawPreview(picture: Raster): Promise<Buffer> {
  return rasterSource(picture).open().flatten({ background: '#fff' }).jpeg({ quality: previewQuality }).toBuffer()
}
