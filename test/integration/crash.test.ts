import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { makePictureFolder } from '../helpers/picture-folder.ts'
import { isAlive, spawnHalftone, type SpawnedHalftone } from '../helpers/spawn-halftone.ts'

let originals: ReturnType<typeof makePictureFolder>
let dataDir: string
let halftone: SpawnedHalftone | undefined

beforeAll(async () => {
  originals = makePictureFolder({ 'photo.jpg': await drawGradientJpeg(1600, 1200) })
  dataDir = mkdtempSync(join(tmpdir(), 'halftone-crash-'))
})
afterAll(async () => {
  if (halftone?.process.exitCode === null && halftone.process.signalCode === null) await halftone.kill('SIGKILL')
  originals.remove()
  rmSync(dataDir, { recursive: true, force: true })
})

const start = (more: Record<string, string> = {}) =>
  spawnHalftone({ HALFTONE_SOURCE: originals.folder, HALFTONE_DATA_DIR: dataDir, HALFTONE_RENDERERS: '2', ...more })

async function askWidth(origin: string, width: number) {
  const response = await fetch(`${origin}/photo.jpg?w=${width}&fm=webp`)
  const body = Buffer.from(await response.arrayBuffer())
  const shown = response.ok ? (await sharp(body).metadata()).width : undefined
  return { status: response.status, shown, cacheStatus: response.headers.get('cache-status') }
}

describe('kill -9', () => {
  test('of renderers under load: no request fails', async () => {
    halftone = await start()
    const { origin, renderers } = halftone
    await askWidth(origin, 50)
    const kills = 5
    let killed = 0
    const running = new Set<number>()
    let width = 100
    const workers = Array.from({ length: 4 }, async () => {
      const answers = []
      while (killed < kills) {
        const asked = (width += 1)
        running.add(asked)
        answers.push({ asked, ...(await askWidth(origin, asked)) })
        running.delete(asked)
      }
      return answers
    })
    while (killed < kills) {
      await expect.poll(() => renderers().length, { timeout: 10_000 }).toBe(2)
      const pid = renderers()[killed % 2]
      if (pid !== undefined) process.kill(pid, 'SIGKILL')
      killed += 1
      // Until all that was running at the kill has been answered: so no job meets two deaths, which the pool's own tests cover.
      const met = [...running]
      if (killed < kills)
        await expect.poll(() => met.filter((asked) => running.has(asked)), { timeout: 20_000 }).toEqual([])
    }
    const answers = (await Promise.all(workers)).flat()
    expect(answers.filter(({ asked, status, shown }) => status !== 200 || shown !== asked)).toEqual([])
    expect(answers.length).toBeGreaterThan(5)
  })

  test('of the front while it works: its renderers go too, and what it stored is served by the next one', async () => {
    if (!halftone) throw new Error('the first test starts it')
    const { origin } = halftone
    await expect.poll(() => halftone?.renderers().length, { timeout: 10_000 }).toBe(2)
    const renderers = halftone.renderers()
    const stored = Array.from({ length: 12 }, (_, index) => 300 + index)
    for (const width of stored) await askWidth(origin, width)
    const interrupted = Array.from({ length: 8 }, (_, index) => askWidth(origin, 400 + index).catch(() => undefined))
    await new Promise((resolve) => setTimeout(resolve, 60))
    await halftone.kill('SIGKILL')
    await Promise.all(interrupted)
    await expect.poll(() => renderers.filter(isAlive), { timeout: 10_000 }).toEqual([])

    halftone = await start()
    const again = []
    for (const width of [...stored, ...interrupted.map((_, index) => 400 + index)])
      again.push({ width, ...(await askWidth(halftone.origin, width)) })
    expect(again.filter(({ width, status, shown }) => status !== 200 || shown !== width)).toEqual([])
    // Writes are behind the answer, so the very last may be lost; most must be there.
    expect(
      again.filter(({ cacheStatus }) => cacheStatus === 'halftone; hit; detail=disk').length,
    ).toBeGreaterThanOrEqual(stored.length - 2)
  })

  test('SIGTERM drains: the running answer is finished, then everything ends', async () => {
    if (!halftone) throw new Error('the first test starts it')
    const renderers = halftone.renderers()
    const running = fetch(`${halftone.origin}/photo.jpg?w=1500&fm=avif`)
    await new Promise((resolve) => setTimeout(resolve, 100))
    const ended = halftone.kill('SIGTERM')
    expect((await running).status).toBe(200)
    expect(await ended).toEqual({ code: 0, signal: null })
    await expect.poll(() => renderers.filter(isAlive)).toEqual([])
    expect(halftone.output()).toMatch(/"event":"closing"[\s\S]*"event":"closed"/)
  })
})

test('a taken port is told with its mend', async () => {
  const first = await start({ HALFTONE_DATA_DIR: `${dataDir}/other` })
  const port = new URL(first.origin).port
  await expect(start({ PORT: port, HALFTONE_DATA_DIR: `${dataDir}/third` })).rejects.toThrow(
    /another program listens there; stop it or set PORT/,
  )
  await first.kill('SIGTERM')
})
