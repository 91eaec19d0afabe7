import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { makePictureFolder } from '../helpers/picture-folder.ts'
import { spawnHalftone, type SpawnedHalftone } from '../helpers/spawn-halftone.ts'

const limitMB = 230
let originals: ReturnType<typeof makePictureFolder>
let dataDir = ''
let halftone: SpawnedHalftone

beforeAll(async () => {
  originals = makePictureFolder({ 'photo.jpg': await drawGradientJpeg(1600, 1200), 'moving.webp': await drawMoving() })
  dataDir = mkdtempSync(join(tmpdir(), 'halftone-memory-'))
  halftone = await spawnHalftone({
    ...{ HALFTONE_SOURCE: originals.folder, HALFTONE_DATA_DIR: dataDir, HALFTONE_RENDERERS: '2' },
    ...{ HALFTONE_RENDERER_MEMORY_MB: '200', HALFTONE_RENDERER_MEMORY_LIMIT_MB: String(limitMB) },
  })
})
afterAll(async () => {
  await halftone.kill('SIGTERM')
  originals.remove()
  rmSync(dataDir, { recursive: true, force: true })
})

/** Small as a file, and 150 MB as pixels. */
async function drawMoving(): Promise<Buffer> {
  const picture = await drawGradientJpeg(500, 500)
  const frame = (index: number) =>
    sharp(picture)
      .negate(index % 2 === 1)
      .png({ compressionLevel: 1 })
  const frames = await Promise.all(Array.from({ length: 150 }, (_, index) => frame(index).toBuffer()))
  return sharp(frames, { join: { animated: true } })
    .webp({ effort: 0, quality: 40 })
    .toBuffer()
}

async function ask(path: string) {
  const response = await fetch(`${halftone.origin}${path}`)
  const { headers, status } = response
  return { status, body: await response.text(), cacheStatus: headers.get('cache-status') ?? '' }
}

const heavy = '/moving.webp?fm=webp&fit=fill&fill=blur&w=500&h=400'

test.skipIf(process.platform !== 'linux')(
  'a renderer that takes too much memory at work is killed: its request is told, all others go on',
  async () => {
    const hot = '/photo.jpg?w=40'
    expect(await ask(hot)).toMatchObject({ status: 200 })
    await expect.poll(() => halftone.renderers().length).toBe(2)
    const before = halftone.renderers()

    let isAnswered = false
    const refused = ask(heavy).finally(() => (isAnswered = true))
    const others = []
    for (let width = 400; !isAnswered; width += 1)
      others.push(await ask(`/photo.jpg?w=${width}&fm=webp`), await ask(hot))
    const { status, body } = await refused
    expect({ status, problem: JSON.parse(body) as unknown }).toMatchObject({
      status: 422,
      problem: { code: 'render_too_large' },
    })
    expect(others.length).toBeGreaterThan(2)
    expect(others.filter((other) => other.status !== 200)).toEqual([])

    // The answer does not wait for the killed one to be gone.
    const known = () => halftone.renderers().map((pid) => before.includes(pid))
    await expect.poll(() => known().sort(), { timeout: 10_000 }).toEqual([false, true])
    expect(await ask(hot)).toMatchObject({ status: 200, cacheStatus: expect.stringContaining('hit') as string })
    const answers = await Promise.all([701, 702, 703, 704].map((width) => ask(`/photo.jpg?w=${width}&fm=webp`)))
    expect(answers.map((answer) => answer.status)).toEqual([200, 200, 200, 200])
  },
)

test.skipIf(process.platform !== 'linux')(
  'it is not tried again nor anything as dear, and cheaper variants of its original go on',
  async () => {
    const known = halftone.renderers()
    expect(await ask(heavy)).toMatchObject({ status: 422 })
    expect(JSON.parse((await ask('/moving.webp?fm=webp&w=490')).body)).toMatchObject({ code: 'render_refused' })
    expect(await ask('/moving.webp?fm=jpg&w=60')).toMatchObject({ status: 200 })
    expect(await ask('/moving.webp?fm=jpg&w=61')).toMatchObject({ status: 200 })
    expect(halftone.renderers()).toEqual(known)
    const events = halftone
      .output()
      .split('\n')
      .filter((line) => line.includes('"render_above_memory_limit"'))
    expect(events).toHaveLength(1)
    const event = JSON.parse(events[0]!) as { rssMB: number; plan: string }
    expect(event).toMatchObject({ level: 'warn', limitMB, sourceKey: expect.stringContaining('moving.webp') as string })
    expect(event.rssMB).toBeGreaterThan(limitMB)
    expect(event.plan).toContain('blur')
  },
)
