import { setTimeout as sleep } from 'node:timers/promises'
import sharp from 'sharp'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { RenderConfig } from '../../src/config/config.ts'
import type { ExaminedImage } from '../../src/transform/executor/examine-image.ts'
import type { RendererPool } from '../../src/transform/executor/renderer-pool.ts'
import { createRendererPool } from '../../src/transform/executor/renderer-pool.ts'
import { drawBase, drawExif, jpegSegment } from '../helpers/draw-metadata.ts'
import { drawSvg } from '../helpers/draw-picture.ts'
import { fourQuarters, noise, planOf, quickRenderConfig } from '../helpers/render-fixtures.ts'

const never = new AbortController().signal
const pools: RendererPool[] = []
let large: Buffer
let quick: Buffer

beforeAll(async () => {
  quick = await fourQuarters()
  large = await sharp(await noise(2400, 2400))
    .avif({ effort: 0, quality: 90 })
    .toBuffer()
})

afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.close(AbortSignal.abort())))
})

function startPool(config: Partial<RenderConfig> = {}): RendererPool {
  const pool = createRendererPool({ config: { ...quickRenderConfig, ...config }, log: () => undefined })
  pools.push(pool)
  return pool
}

function examine(pool: RendererPool, bytes: Buffer, key = 'one'): Promise<ExaminedImage> {
  return pool.examine({ key, bytes, maxPixels: 50_000_000, maxFrames: 100, allowSvg: false }, never)
}

function renderQuick(pool: RendererPool, sourceKey: string) {
  return pool.render(
    { original: quick, sourceKey, sourceName: 'photos', planFor: (metadata) => planOf(metadata, []) },
    never,
  )
}

async function until(isTrue: () => boolean): Promise<void> {
  for (let tries = 0; !isTrue(); tries++) {
    if (tries > 1500) throw new Error('waited in vain')
    await sleep(10)
  }
}

describe('uploads in the renderers', () => {
  test('facts and preview come back whole', async () => {
    const jpeg = await drawBase(80, 60).jpeg().toBuffer()
    const photo = Buffer.concat([
      jpeg.subarray(0, 2),
      jpegSegment(0xe1, 'Exif\0\0', await drawExif(6)),
      jpeg.subarray(2),
    ])
    const { facts, preview } = await examine(startPool(), photo)
    expect(facts).toMatchObject({ format: 'jpeg', width: 60, height: 80, exif: { model: 'Model X' } })
    expect(facts.edits.length).toBeGreaterThan(0)
    expect(Buffer.isBuffer(preview)).toBe(true)
    expect(await sharp(preview).metadata()).toMatchObject({ format: 'jpeg', width: 60, height: 80 })
  })

  test('a refusal leaves the renderer alone', async () => {
    const pool = startPool({ renderers: 1 })
    await expect(examine(pool, Buffer.from('no picture'))).rejects.toMatchObject({ code: 'not_an_image' })
    await expect(examine(pool, drawSvg())).rejects.toMatchObject({ code: 'type_not_allowed' })
    await expect(examine(pool, large.subarray(0, large.length / 2))).rejects.toMatchObject({ code: 'undecodable' })
    await expect(renderQuick(pool, 'after')).resolves.toMatchObject({ width: 80 })
    expect(pool.stats().events.died).toBe(0)
  })

  test('a file that kills two renderers cannot be decoded, and no third is tried', async () => {
    const pool = startPool({ renderers: 1 })
    await until(() => pool.stats().ready === 1)
    const refused = expect(examine(pool, large)).rejects.toMatchObject({ code: 'undecodable' })
    for (let kills = 0; kills < 2; kills++) {
      await until(() => pool.stats().running === 1)
      process.kill(pool.stats().pids[0]!, 'SIGKILL')
      await until(() => pool.stats().events.died === kills + 1)
    }
    await refused
    await expect(examine(pool, large)).rejects.toMatchObject({ code: 'undecodable' })
    expect(pool.stats().events.died).toBe(2)
  })

  test.skipIf(process.platform !== 'linux')('a file that takes too much memory cannot be decoded', async () => {
    const pool = startPool({ renderers: 1, memoryLimitMB: 1 })
    await until(() => pool.stats().ready === 1)
    await expect(examine(pool, large)).rejects.toMatchObject({
      code: 'undecodable',
      detail: 'Decoding the file takes more memory than allowed.',
    })
    expect(pool.stats().events.memory_limit).toBe(1)
  })

  test('what somebody waits for goes first, and has a renderer to itself where there are two', async () => {
    const one = startPool({ renderers: 1 })
    await until(() => one.stats().ready === 1)
    const order: string[] = []
    const note = (name: string) => () => order.push(name)
    const uploads = ['a', 'b'].map((key) => examine(one, large, key).then(note(`upload ${key}`)))
    const renders = ['c', 'd'].map((key) => renderQuick(one, key).then(note('render')))
    await Promise.all([...uploads, ...renders])
    expect(order).toEqual(['upload a', 'render', 'render', 'upload b'])
    const two = startPool({ renderers: 2 })
    await until(() => two.stats().ready === 2)
    const busy = ['a', 'b', 'c'].map((key) => examine(two, large, key))
    await sleep(50)
    expect(two.stats()).toMatchObject({ running: 1, queued: 2 })
    await renderQuick(two, 'd')
    expect(two.stats().queued).toBe(2)
    await Promise.all(busy)
  })

  test('when the queue is full, an upload makes room', async () => {
    const pool = startPool({ renderers: 1, queueLength: 1 })
    await until(() => pool.stats().ready === 1)
    const running = examine(pool, large, 'a')
    const waiting = expect(examine(pool, large, 'b')).rejects.toMatchObject({ code: 'overloaded', retryable: true })
    await expect(renderQuick(pool, 'c')).resolves.toMatchObject({ width: 80 })
    await Promise.all([waiting, running])
  })

  test('the header is read from the first bytes', async () => {
    const pool = startPool()
    const photo = await sharp(await noise(1200, 900))
      .jpeg({ quality: 95 })
      .toBuffer()
    expect(photo.length).toBeGreaterThan(400_000)
    const metadata = await pool.probeHeader({ key: 'one', bytes: photo.subarray(0, 262_144) }, never)
    expect(metadata).toMatchObject({ format: 'jpeg', width: 1200, height: 900 })
    expect(await pool.probeHeader({ key: 'two', bytes: large.subarray(0, 4096) }, never)).toMatchObject({ width: 2400 })
  })
})
