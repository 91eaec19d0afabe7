import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { RenderConfig } from '../../src/config/config.ts'
import type { OriginalFile } from '../../src/transform/executor/job-original.ts'
import { createRendererPool, type RendererPool } from '../../src/transform/executor/renderer-pool.ts'
import { fourQuarters, noise, planOf, quickRenderConfig } from '../helpers/render-fixtures.ts'

const never = new AbortController().signal
let folder = ''
let picture: Buffer
let other: Buffer
let pool: RendererPool

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'halftone-held-'))
  picture = await fourQuarters()
  other = await noise(90, 70)
  await writeFile(join(folder, 'picture'), picture)
  await writeFile(join(folder, 'other'), other)
})
afterAll(() => rm(folder, { recursive: true, force: true }))
afterEach(() => pool.close(AbortSignal.abort()))

function startPool(config: Partial<RenderConfig> = {}): void {
  pool = createRendererPool({ config: { ...quickRenderConfig, renderers: 1, ...config }, log: () => undefined })
}

const gone = () => Promise.reject(new Error('the front was asked for the bytes'))

function file(name: string, { length }: Buffer, more: Partial<OriginalFile> = {}): OriginalFile {
  const assertUnchanged = () => Promise.resolve()
  return {
    heldPath: join(folder, name),
    byteLength: length,
    assertUnchanged,
    read: gone,
    onSlow: () => undefined,
    ...more,
  }
}

function render(original: OriginalFile | Buffer, sourceKey: string, width = 20) {
  const planFor: Parameters<RendererPool['render']>[0]['planFor'] = (metadata) =>
    planOf(metadata, [{ op: 'resize', width, height: width }])
  return pool.render({ original, sourceKey, sourceName: 'photos', planFor }, never)
}

describe('originals that a renderer reads from a file', () => {
  test('give what the same bytes give, without passing through the front', async () => {
    startPool()
    const fromFile = await render(file('picture', picture), 'file')
    const fromBytes = await render(picture, 'bytes')
    expect(fromFile.body).toEqual(fromBytes.body)
    expect(fromFile.metadata).toEqual(fromBytes.metadata)
  })

  test('are read once for several variants', async () => {
    startPool()
    await render(file('picture', picture), 'once')
    const second = await render(file('missing', picture), 'once', 30)
    expect(second.width).toBe(30)
    expect(pool.stats().events.original_recalled).toBe(1)
  })

  test('are fetched by the front where the renderer cannot open the file, or it ends too soon', async () => {
    startPool()
    const read = () => Promise.resolve(picture)
    expect((await render(file('missing', picture, { read }), 'missing')).metadata.width).toBe(80)
    const longer = file('picture', Buffer.alloc(picture.length + 1), { read })
    expect((await render(longer, 'short')).metadata.width).toBe(80)
    expect(pool.stats().events.died).toBe(0)
  })

  test('that changed meanwhile are an error and are forgotten, whatever they looked like', async () => {
    startPool()
    const changed = new Error('changed')
    const assertUnchanged = () => Promise.reject(changed)
    await expect(render(file('other', other, { assertUnchanged }), 'changing')).rejects.toBe(changed)
    await writeFile(join(folder, 'torn'), 'half a picture')
    const torn = file('torn', Buffer.from('half a picture'), { assertUnchanged })
    await expect(render(torn, 'changing')).rejects.toBe(changed)
    const after = await render(file('picture', picture), 'changing')
    expect(after.metadata).toMatchObject({ width: 80, height: 60 })
    expect(pool.stats().events.original_recalled).toBe(0)
  })

  test('that a hanging disk does not deliver are a fault of the source, and not refused afterwards', async () => {
    startPool({ deadlineMs: 1500 })
    await expect.poll(() => pool.stats().ready, { timeout: 15_000 }).toBe(1)
    // Opening it waits for a writer, who never comes.
    execFileSync('mkfifo', [join(folder, 'hanging')])
    const started = performance.now()
    let slow = 0
    const hanging = render(file('hanging', picture, { onSlow: () => slow++ }), 'slow disk')
    await expect.poll(() => slow, { timeout: 1000 }).toBe(1)
    await expect(hanging).rejects.toMatchObject({ code: 'source_timeout', status: 504, retryable: true })
    expect(performance.now() - started).toBeGreaterThan(1400)
    expect(slow).toBe(1)
    expect(pool.stats()).toMatchObject({ refusedSources: 0, events: { deadline_killed: 1 } })
    expect((await render(file('picture', picture), 'slow disk')).metadata.width).toBe(80)
  })

  test('that were read and then cannot even be opened in time are refused', async () => {
    startPool({ deadlineMs: 700 })
    await expect.poll(() => pool.stats().ready, { timeout: 15_000 }).toBe(1)
    const path = '<path style="fill:red" d="M0 0h1"/>'
    const drawing = Buffer.from(
      `<svg xmlns="http://www.w3.org/2000/svg" width="80" height="60">${path.repeat(400_000)}</svg>`,
    )
    await writeFile(join(folder, 'drawing'), drawing)
    await expect(render(file('drawing', drawing), 'drawing')).rejects.toMatchObject({ code: 'render_too_slow' })
    await expect(render(file('drawing', drawing), 'drawing')).rejects.toMatchObject({ code: 'render_refused' })
  })

  test('are read by the front for an answer that is the original itself', async () => {
    startPool()
    const job = {
      original: file('picture', picture, { read: () => Promise.resolve(picture) }),
      sourceKey: 'whole',
      sourceName: 'photos',
      planFor: () => ({ kind: 'passthrough', format: 'png', sanitize: false, width: 80, height: 60 }) as const,
    }
    expect((await pool.render(job, never)).body).toEqual(picture)
  })
})
