import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeAll, expect, test } from 'vitest'
import type { RenderConfig } from '../../src/config/config.ts'
import type { ImageMetadata } from '../../src/transform/image/image-metadata.ts'
import type { RenderedImage, RendererPool } from '../../src/transform/executor/renderer-pool.ts'
import { createRendererPool } from '../../src/transform/executor/renderer-pool.ts'
import type { OutputSettings } from '../../src/transform/planner/transform-plan.ts'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { planOf, quickRenderConfig } from '../helpers/render-fixtures.ts'

const never = new AbortController().signal
const avif: OutputSettings = { format: 'avif', quality: 60, effort: 0 }
const webp: OutputSettings = { format: 'webp', quality: 76, effort: 0, lossless: false }
const widths = [160, 240, 320, 400, 512, 640, 800, 1024]
const pools: RendererPool[] = []
let photo: Buffer

beforeAll(async () => {
  photo = await drawGradientJpeg(2304, 1728)
})
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.close(AbortSignal.abort())))
})

async function startPool(config: Partial<RenderConfig> = {}): Promise<RendererPool> {
  const pool = createRendererPool({ config: { ...quickRenderConfig, ...config }, log: () => undefined })
  pools.push(pool)
  await expect.poll(() => pool.stats().ready, { timeout: 15_000 }).toBe(config.renderers ?? 2)
  return pool
}

function render(pool: RendererPool, width: number, output = webp, sourceKey = 'photo'): Promise<RenderedImage> {
  const height = Math.round((width * 3) / 4)
  const planFor = (metadata: ImageMetadata) =>
    planOf(metadata, [{ op: 'resize', width, height }], { output, width, height })
  return pool.render({ original: photo, sourceKey, sourceName: 'photos', planFor }, never)
}

const wholeSrcset = (pool: RendererPool) =>
  Promise.all(widths.flatMap((width) => [avif, webp].map((output) => render(pool, width, output))))

test('eight widths in two formats: each decode is made once, and the bytes are those of lone variants', async () => {
  const pool = await startPool()
  const images = await wholeSrcset(pool)
  // Shrinks 8, 4, 2 and the whole picture; a second renderer may have joined in at the end.
  expect(pool.stats().events.shared_built).toBeLessThanOrEqual(8)
  expect(pool.stats().events.shared_drawing_hit).toBeGreaterThanOrEqual(4)
  const alone = await startPool({ sharedDecodeBytes: 0 })
  const expected = await wholeSrcset(alone)
  for (const [index, image] of images.entries()) expect(image.body.equals(expected[index]!.body)).toBe(true)
  expect(alone.stats().events).toMatchObject({ shared_built: 0, shared_decode_hit: 0, original_recalled: 0 })
})

test('one renderer decodes each shrink once, and gets the original once', async () => {
  const pool = await startPool({ renderers: 1 })
  await wholeSrcset(pool)
  expect(pool.stats().events).toMatchObject({ shared_built: 4, original_recalled: 15, shared_drawing_hit: 8 })
})

test('a lone variant builds nothing; the second one does, and goes where the original is', async () => {
  const pool = await startPool()
  await render(pool, 320)
  expect(pool.stats().events.shared_built).toBe(0)
  await render(pool, 400)
  await render(pool, 410)
  expect(pool.stats().events).toMatchObject({ shared_built: 1, shared_decode_hit: 1 })
})

test('a renderer that dies or is recycled takes only time with it', async () => {
  const pool = await startPool({ renderers: 1, memoryCeilingMB: 1 })
  const images = await Promise.all([render(pool, 320), render(pool, 400), render(pool, 410)])
  expect(images.map(({ width }) => width)).toEqual([320, 400, 410])
  expect(pool.stats().events.recycled).toBeGreaterThanOrEqual(2)
})

test('what was kept is given up when the original does not fit', async () => {
  const pool = await startPool({ renderers: 1, sharedDecodeBytes: 1000 })
  await wholeSrcset(pool)
  expect(pool.stats().events).toMatchObject({ shared_decode_hit: 0, shared_drawing_hit: 0, original_recalled: 0 })
})

test('after the time that pictures are kept, the original is sent and decoded again', async () => {
  const pool = await startPool({ renderers: 1 })
  await Promise.all([render(pool, 320), render(pool, 400)])
  const { shared_built, original_recalled } = pool.stats().events
  await sleep(10_500)
  await render(pool, 400, avif)
  expect(pool.stats().events).toMatchObject({ shared_built, original_recalled, shared_drawing_hit: 0 })
}, 30_000)

test('a decode that only one drawing starts from is not kept, its drawing is', async () => {
  const pool = await startPool({ renderers: 1 })
  await Promise.all([320, 1024].flatMap((width) => [avif, webp].map((output) => render(pool, width, output))))
  expect(pool.stats().events).toMatchObject({ shared_built: 0, shared_drawing_hit: 2, original_recalled: 3 })
  // Until a second one is asked for, within the time that pictures are kept.
  await render(pool, 330)
  await render(pool, 340)
  expect(pool.stats().events).toMatchObject({ shared_built: 1, shared_decode_hit: 1 })
})
