import sharp from 'sharp'
import type { RenderConfig } from '../../src/config/config.ts'
import { settings } from '../../src/config/settings.ts'
import type { ImageMetadata } from '../../src/transform/image/image-metadata.ts'
import type { Operation } from '../../src/transform/image/operation.ts'
import type { OutputSettings, TransformPlan } from '../../src/transform/planner/transform-plan.ts'

export type RenderPlan = Extract<TransformPlan, { kind: 'render' }>

export const quickRenderConfig: RenderConfig = {
  renderers: 2,
  queueLength: 50,
  queueBytes: 256_000_000,
  deadlineMs: 20_000,
  sharedDecodeBytes: 128_000_000,
  memoryCeilingMB: 1024,
  memoryLimitMB: 4096,
  niceness: 10,
  jemalloc: settings.jemalloc.default === 'auto' ? 'auto' : 'off',
  refuseSeconds: 60,
  maxPixels: 100_000_000,
  maxFrames: 200,
  maxOutputSide: 8192,
  avifMaxPixels: 4_000_000,
  avifEffort: 0,
  webpEffort: 2,
  mozjpeg: false,
}

export const pngOutput: OutputSettings = { format: 'png', palette: false, alpha: 'keep' }

/** A hand-written plan; the size is the executor's to reach, so tests compare with what was decoded. */
export function planOf(
  metadata: ImageMetadata,
  operations: readonly Operation[],
  rest: Partial<RenderPlan> = {},
): RenderPlan {
  return {
    kind: 'render',
    input: { format: metadata.format, frames: 1, scale: 1 },
    operations,
    color: 'origin',
    output: pngOutput,
    width: metadata.width,
    height: metadata.height,
    reasons: [],
    ...rest,
  }
}

export type Rgb = readonly [number, number, number]

/** Four quarters of 40x30 px each: red, green / blue, white (80x60 in all). */
export async function fourQuarters(): Promise<Buffer> {
  const quarter = (background: string) =>
    sharp({ create: { width: 40, height: 30, channels: 3, background } })
      .png()
      .toBuffer()
  const [green, blue, white] = await Promise.all(['#00ff00', '#0000ff', '#ffffff'].map(quarter))
  return sharp({ create: { width: 80, height: 60, channels: 3, background: '#ff0000' } })
    .composite([
      { input: green!, left: 40, top: 0 },
      { input: blue!, left: 0, top: 30 },
      { input: white!, left: 40, top: 30 },
    ])
    .png()
    .toBuffer()
}

/** Frames of one colour each, 40x30. */
export async function animation(
  format: 'gif' | 'webp',
  colors: readonly string[],
  delay = 120,
  loop = 3,
): Promise<Buffer> {
  const frames = await Promise.all(
    colors.map((background) =>
      sharp({ create: { width: 40, height: 30, channels: 3, background } })
        .png()
        .toBuffer(),
    ),
  )
  const timing = { delay: colors.map(() => delay), loop }
  const joined = sharp(frames, { join: { animated: true } })
  return format === 'gif' ? joined.gif(timing).toBuffer() : joined.webp({ ...timing, lossless: true }).toBuffer()
}

/** Decoded pixels with a reader for one of them. */
export async function decode(bytes: Buffer, page = 0) {
  const { data, info } = await sharp(bytes, { page }).ensureAlpha().raw().toBuffer({ resolveWithObject: true })
  return {
    width: info.width,
    height: info.height,
    at: (x: number, y: number): [number, number, number, number] => {
      const offset = (y * info.width + x) * 4
      return [data[offset]!, data[offset + 1]!, data[offset + 2]!, data[offset + 3]!]
    },
  }
}

/** Whether a pixel is near a colour; encoders and resampling cost a little. */
export function isNear(pixel: readonly number[], color: Rgb, tolerance = 12): boolean {
  return color.every((channel, index) => Math.abs(channel - pixel[index]!) <= tolerance)
}

/** Photo-like noise that is slow to encode. */
export function noise(width: number, height: number): Promise<Buffer> {
  return sharp({
    create: { width, height, channels: 3, background: '#808080', noise: { type: 'gaussian', mean: 128, sigma: 60 } },
  })
    .png({ compressionLevel: 1 })
    .toBuffer()
}
