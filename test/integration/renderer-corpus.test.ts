import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { AppError } from '../../src/errors.ts'
import type { RenderedImage, RendererPool } from '../../src/transform/executor/renderer-pool.ts'
import { createRendererPool } from '../../src/transform/executor/renderer-pool.ts'
import type { ImageMetadata } from '../../src/transform/image/image-metadata.ts'
import type { Operation } from '../../src/transform/image/operation.ts'
import type { OutputSettings, TransformPlan } from '../../src/transform/planner/transform-plan.ts'
import { pngOutput, planOf, quickRenderConfig } from '../helpers/render-fixtures.ts'

const corpus = resolve(import.meta.dirname, '../../../shared/corpus')
const isThere = existsSync(corpus)
if (!isThere) console.log('skipped: the shared corpus is not at ../shared/corpus')
const filesOf = (group: string) => (isThere ? readdirSync(join(corpus, group)).sort() : [])
const side = 160

describe.skipIf(!isThere)('the renderers on the shared corpus', () => {
  let pool: RendererPool
  beforeAll(() => {
    pool = createRendererPool({
      config: { ...quickRenderConfig, queueLength: 200, deadlineMs: 25_000 },
      log: () => undefined,
    })
  })
  afterAll(() => pool.close())

  function render(group: string, file: string, output: OutputSettings = pngOutput): Promise<RenderedImage> {
    const original = readFileSync(join(corpus, group, file))
    return pool.render(
      { original, sourceKey: file, sourceName: 'corpus', planFor: (metadata) => small(metadata, output) },
      new AbortController().signal,
    )
  }

  const healthy = ['formats', 'metadata', 'orientation', 'photos'].flatMap((group) =>
    filesOf(group).map((file) => [group, file] as const),
  )
  test.each(healthy)('%s/%s is rendered, with no metadata left', async (group, file) => {
    for (const output of [
      { format: 'webp', quality: 75, effort: 2, lossless: false },
      { format: 'avif', quality: 50, effort: 0 },
    ] as const) {
      const { body, width, height } = await render(group, file, output)
      const header = await sharp(body).metadata()
      expect([header.width, header.height]).toEqual([width, height])
      expect([header.exif, header.xmp, header.iptc, header.icc, header.orientation]).toEqual(Array(5).fill(undefined))
    }
  })

  test('whatever is malformed ends as a picture or a 4xx, and every renderer lives on', async () => {
    const { pids } = await settled()
    const outcomes = await Promise.allSettled(filesOf('malformed').map((file) => render('malformed', file)))
    for (const outcome of outcomes) {
      if (outcome.status === 'fulfilled') continue
      expect(outcome.reason).toBeInstanceOf(AppError)
      expect((outcome.reason as AppError).status).toBe(422)
    }
    expect(outcomes.filter((outcome) => outcome.status === 'rejected').length).toBeGreaterThan(20)
    expect(pool.stats().pids).toEqual(pids)
  })

  test.each([
    ['truncated.jpg', 'undecodable'],
    ['truncated.png', 'undecodable'],
    ['corrupt-header.jpg', 'undecodable'],
    ['65536-uint32-limit.png', 'too_many_pixels'],
    ['giant-image.jpg', 'too_many_pixels'],
  ])('malformed/%s is %s', async (file, code) => {
    await expect(render('malformed', file)).rejects.toMatchObject({ code })
  })

  test.each(['Landscape', 'Portrait'])('all eight orientations of %s look alike', async (name) => {
    const first = await pixels(await render('orientation', `${name}_1.jpg`))
    for (const orientation of [2, 3, 4, 5, 6, 7, 8]) {
      const other = await pixels(await render('orientation', `${name}_${orientation}.jpg`))
      // Each carries its own number in the middle; a wrong turn differs by more than 40.
      expect(meanDifference(first, other), `orientation ${orientation}`).toBeLessThan(12)
    }
  })

  test.each(['Channel_digital_image_CMYK_color.jpg', 'Channel_digital_image_CMYK_color_no_profile.jpg'])(
    '%s is not inverted',
    async (file) => {
      const image = await render('formats', file)
      const shown = await pixels(image)
      const reference = await plainCmyk(join(corpus, 'formats', file), image)
      // Inks on paper are duller than the arithmetic says; a negative would be off by more than 80.
      expect(meanDifference(shown, reference)).toBeLessThan(30)
      expect(
        meanDifference(
          shown,
          reference.map((value) => 255 - value),
        ),
      ).toBeGreaterThan(60)
    },
  )

  test('a HEIC from a phone stands upright in its own colours', async () => {
    const image = await render('formats', 'iphone13.heic')
    expect(image.metadata).toMatchObject({
      format: 'heic',
      width: 3024,
      height: 4032,
      orientation: 1,
      hasProfile: true,
    })
    expect(image.height).toBeGreaterThan(image.width)
  })

  test.each(['animated-loop-3.gif', 'animated-loop-3.webp', 'rotating-squares.gif', 'rotating-squares.webp'])(
    '%s stays animated',
    async (file) => {
      const before = await sharp(join(corpus, 'formats', file)).metadata()
      for (const output of [{ format: 'gif' }, { format: 'webp', quality: 75, effort: 2, lossless: false }] as const) {
        const original = readFileSync(join(corpus, 'formats', file))
        const planFor = (metadata: ImageMetadata): TransformPlan => ({
          ...small(metadata, output),
          input: { format: metadata.format, frames: metadata.frames, scale: 1 },
        })
        const { body } = await pool.render(
          { original, sourceKey: file, sourceName: 'corpus', planFor },
          new AbortController().signal,
        )
        const after = await sharp(body).metadata()
        // libwebp joins frames that have become equal, so their number may shrink; the time they take may not.
        expect(after.pages).toBeGreaterThan(1)
        expect([after.loop, durationOf(after)]).toEqual([before.loop, durationOf(before)])
      }
    },
  )

  /** All renderers started. */
  async function settled() {
    while (pool.stats().ready < quickRenderConfig.renderers) await new Promise((resolve) => setTimeout(resolve, 20))
    return pool.stats()
  }
})

/** Upright, at most `side` px a side. */
function small(metadata: ImageMetadata, output: OutputSettings) {
  const isTurned = metadata.orientation >= 5
  const [w, h] = isTurned ? [metadata.height, metadata.width] : [metadata.width, metadata.height]
  const scale = side / Math.max(w, h)
  const size = { width: Math.max(1, Math.round(w * scale)), height: Math.max(1, Math.round(h * scale)) }
  const orient: Operation[] = metadata.orientation === 1 ? [] : [{ op: 'orient', orientation: metadata.orientation }]
  return planOf(metadata, [...orient, { op: 'resize', ...size }], { output, ...size })
}

function pixels(image: RenderedImage): Promise<Buffer> {
  return sharp(image.body).removeAlpha().raw().toBuffer()
}

/** The textbook conversion without any profile: light is what neither its ink nor black takes away. */
async function plainCmyk(path: string, { width, height }: RenderedImage): Promise<Buffer> {
  const stored = sharp(path, { ignoreIcc: true }).pipelineColourspace('cmyk').toColourspace('cmyk')
  const inks = await stored.resize(width, height, { fit: 'fill' }).raw().toBuffer()
  expect(inks.length).toBe(width * height * 4)
  const light = Buffer.alloc(width * height * 3)
  for (let pixel = 0; pixel < width * height; pixel++) {
    const white = 1 - inks[pixel * 4 + 3]! / 255
    for (let ink = 0; ink < 3; ink++) light[pixel * 3 + ink] = Math.round((255 - inks[pixel * 4 + ink]!) * white)
  }
  return light
}

function meanDifference(a: Uint8Array, b: Uint8Array): number {
  expect(a.length).toBe(b.length)
  return a.reduce((sum, value, index) => sum + Math.abs(value - b[index]!), 0) / a.length
}

function durationOf({ delay = [] }: { readonly delay?: number[] | undefined }): number {
  return delay.reduce((sum, ms) => sum + ms, 0)
}
