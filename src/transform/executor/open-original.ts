import type { SharpOptions } from 'sharp'
import sharp from 'sharp'
import type { ImageMetadata } from '../image/image-metadata.ts'
import type { TransformPlan } from '../planner/transform-plan.ts'
import { convertToSrgb } from './color-output.ts'
import { decodeHeic } from './decode-heic.ts'
import type { PixelSource } from './raster.ts'
import { sanitizeSvg } from './sanitize-svg.ts'

/** Bounds a single decode, whatever the plan says. */
export type DecodeLimits = { readonly maxPixels: number; readonly timeoutSeconds: number }

/** Resolution at which one SVG px is one picture px. */
const svgDensity = 72

/** The original as the input of the first stage: HEIC decoded, SVG sanitised and scaled, profile converted to sRGB. */
export async function openOriginal(
  bytes: Buffer,
  metadata: ImageMetadata,
  input: Extract<TransformPlan, { kind: 'render' }>['input'],
  limits: DecodeLimits,
): Promise<PixelSource> {
  const frames = Math.min(input.frames, metadata.frames)
  const decodable = await decodableBytes(bytes, metadata)
  const scale = metadata.format === 'svg' ? input.scale : 1
  const options: SharpOptions = {
    // Photographs with slight damage are shown as browsers show them; a file that ends too soon is refused.
    failOn: 'truncated',
    limitInputPixels: limits.maxPixels,
    ...(frames > 1 ? { pages: frames } : {}),
    ...(scale !== 1 ? { density: svgDensity * scale } : {}),
  }
  return {
    open: () => convertToSrgb(sharp(decodable, options).timeout({ seconds: limits.timeoutSeconds }), metadata),
    size: { width: Math.round(metadata.width * scale), height: Math.round(metadata.height * scale) },
    frames,
    raster: undefined,
  }
}

function decodableBytes(bytes: Buffer, metadata: ImageMetadata): Buffer | Promise<Buffer> {
  if (metadata.format === 'heic') return decodeHeic(bytes)
  return metadata.format === 'svg' ? sanitizeSvg(bytes) : bytes
}
