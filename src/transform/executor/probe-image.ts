import type { Metadata } from 'sharp'
import sharp from 'sharp'
import { AppError } from '../../errors.ts'
import type { InputFormat } from '../image/formats.ts'
import type { Size } from '../image/geometry.ts'
import type { ImageMetadata, Orientation } from '../image/image-metadata.ts'
import { enforceLimits } from '../planner/enforce-limits.ts'
import { decodeFailure } from './decode-failure.ts'
import { sanitizeSvg } from './sanitize-svg.ts'
import type { SniffedFormat } from './sniff-format.ts'
import { sniffFormat } from './sniff-format.ts'
import { weighSvg } from './weigh-svg.ts'

/** Formats whose further pages are frames of an animation; in TIFF and HEIF they are other pictures. */
const animatedFormats: ReadonlySet<InputFormat> = new Set(['gif', 'webp'])

/**
 * Reads the header of an original; no pixel is decoded. The type is told by content alone. Throws `not_an_image` for what
 * no loader is meant for, `undecodable` for a damaged header, `too_many_pixels` above `maxPixels`.
 */
export async function probeImage(bytes: Buffer, limits: { readonly maxPixels: number }): Promise<ImageMetadata> {
  const sniffed = sniffFormat(bytes)
  if (sniffed === undefined) throw new AppError('not_an_image')
  try {
    const svg = sniffed === 'svg' ? sanitizeSvg(bytes) : undefined
    const header = await readHeader(svg ?? bytes, limits)
    const format = inputFormat(sniffed, header)
    if (format === 'gif') enforceLimits(gifScreen(bytes), 1, { ...limits, maxFrames: 1 })
    return {
      format,
      width: header.width,
      height: header.height,
      orientation: uprightAlready(format) ? 1 : toOrientation(header.orientation),
      hasAlpha: header.hasAlpha,
      frames: animatedFormats.has(format) ? Math.max(1, header.pages ?? 1) : 1,
      colorSpace: header.space,
      hasProfile: header.hasProfile,
      byteLength: bytes.length,
      ...(svg ? { layers: weighSvg(svg.toString()) } : {}),
    }
  } catch (error) {
    throw decodeFailure(error)
  }
}

async function readHeader(bytes: Buffer, limits: { readonly maxPixels: number }): Promise<Metadata> {
  return sharp(bytes, { limitInputPixels: limits.maxPixels }).metadata()
}

function inputFormat(sniffed: SniffedFormat, header: Metadata): InputFormat {
  if (sniffed !== 'heif') return sniffed
  return header.compression === 'av1' ? 'avif' : 'heic'
}

/**
 * libvips takes the first frame for the picture when the screen has an unlikely size. Browsers show the screen, so it has to be
 * within the limit although no variant is ever drawn at its size.
 */
function gifScreen(bytes: Buffer): Size {
  return { width: bytes.readUInt16LE(6), height: bytes.readUInt16LE(8) }
}

/** libheif hands pictures out upright; an EXIF tag that says otherwise is not to be applied a second time. */
function uprightAlready(format: InputFormat): boolean {
  return format === 'heic' || format === 'avif' || format === 'svg'
}

function toOrientation(value: number | undefined): Orientation {
  return value !== undefined && value >= 1 && value <= 8 ? (value as Orientation) : 1
}
