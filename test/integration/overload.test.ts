import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { capacityOf, latencyAt, pourOpenLoop, type Outcome } from '../../bench/harness/open-loop.ts'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { makePictureFolder } from '../helpers/picture-folder.ts'
import { spawnHalftone } from '../helpers/spawn-halftone.ts'
import { startHalftone, type RunningHalftone } from '../helpers/start-halftone.ts'

let originals: ReturnType<typeof makePictureFolder>
let halftone: RunningHalftone

beforeAll(async () => {
  originals = makePictureFolder({ 'photo.jpg': await drawGradientJpeg(2400, 1800) })
  halftone = await startHalftone({
    HALFTONE_SOURCE: originals.folder,
    HALFTONE_RENDERERS: '1',
    HALFTONE_QUEUE_LENGTH: '3',
    HALFTONE_RETRY_AFTER_SECONDS: '7',
  })
})
afterAll(async () => {
  await halftone.stop()
  originals.remove()
})

test('with renderers busy and the queue full, misses are shed and hits go on', async () => {
  const hot = '/photo.jpg?w=64'
  await (await halftone.get(hot)).arrayBuffer()

  const misses = Array.from({ length: 16 }, (_, index) => halftone.get(`/photo.jpg?w=${1800 + index}&fm=webp`))
  const hits = await Promise.all(Array.from({ length: 20 }, () => halftone.get(hot)))
  expect(hits.map((hit) => hit.headers.get('cache-status'))).toEqual(Array(20).fill('halftone; hit; detail=memory'))

  const answers = await Promise.all(misses)
  const shed = answers.filter((answer) => answer.status === 503)
  const served = answers.filter((answer) => answer.status === 200)
  await Promise.all([...hits, ...served].map((answer) => answer.arrayBuffer()))
  expect(shed.length + served.length).toBe(16)
  // One at work and three waiting are kept; the rest is told when to come back.
  expect(served.length).toBeGreaterThanOrEqual(4)
  expect(shed.length).toBeGreaterThan(0)
  for (const answer of shed) {
    expect(answer.headers.get('retry-after')).toBe('7')
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(await answer.json()).toMatchObject({ code: 'overloaded', status: 503 })
  }
  const after = await halftone.get('/photo.jpg?w=65')
  expect([after.status, (await after.arrayBuffer()).byteLength > 0]).toEqual([200, true])
})

test('a client that goes away frees its place in the queue', async () => {
  const gone = Array.from({ length: 3 }, (_, index) => {
    const abort = new AbortController()
    const answer = fetch(`${halftone.origin}/photo.jpg?w=${1900 + index}&fm=webp`, { signal: abort.signal }).catch(
      () => undefined,
    )
    return { abort, answer }
  })
  await new Promise((resolve) => setTimeout(resolve, 50))
  for (const { abort } of gone) abort.abort()
  await Promise.all(gone.map(({ answer }) => answer))
  await expect
    .poll(async () => /halftone_render_queue_jobs (\d+)/.exec(await (await halftone.get('/-/metrics')).text())?.[1])
    .toBe('0')
  const closed = halftone.logLines.filter(
    (line) => line['event'] === 'request' && line['error'] === 'client_closed_request',
  )
  expect(closed.length).toBeGreaterThan(0)
  expect(halftone.logLines.filter((line) => line['event'] === 'request_failed' && line['code'] === 'internal')).toEqual(
    [],
  )
})

// Figures of the same are in `npm run bench -- overload`; here it is what becomes of everybody that counts.
test('at ten times capacity every hit is answered, every miss is answered or told at once, and then all is well', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'halftone-overload-'))
  // A process of its own: whoever makes the load must not hold up who answers it.
  const server = await spawnHalftone({
    ...{ HALFTONE_SOURCE: originals.folder, HALFTONE_DATA_DIR: dataDir },
    ...{ HALFTONE_RENDERERS: '2', HALFTONE_QUEUE_LENGTH: '16' },
  })
  try {
    const { origin } = server
    let made = 0
    const newMiss = () => `/photo.jpg?fm=webp&fit=crop&h=700&w=${700 + ((made += 1) % 900)}&q=${20 + (made % 70)}`
    const hot = '/photo.jpg?w=64'
    await (await fetch(origin + hot)).arrayBuffer()
    await capacityOf(origin, { atOnce: 4, seconds: 1, targetOf: newMiss })
    const perSecond = Math.max(2, await capacityOf(origin, { atOnce: 4, seconds: 1.5, targetOf: newMiss }))
    const refusedBefore = await refusedAtTheDoor(origin)

    const [hits, misses] = await Promise.all([
      pourOpenLoop({ origin, rate: 50, seconds: 4, targetOf: () => hot }),
      pourOpenLoop({ origin, rate: 10 * perSecond, seconds: 4, targetOf: newMiss }),
    ])
    console.log(
      `${perSecond.toFixed(1)} misses/s, asked ${misses.length} in 4 s: ${misses.filter(isShed).length} shed; p99 of hits ${latencyAt(hits, 0.99).toFixed(0)} ms`,
    )
    expect(hits.filter(({ status }) => status !== 200)).toEqual([])
    expect(misses.filter((miss) => miss.status !== 200 && !isShed(miss))).toEqual([])
    const shed = misses.filter(isShed)
    const served = misses.length - shed.length
    expect(shed.length).toBeGreaterThan(served)
    expect(served).toBeGreaterThanOrEqual(16)
    // Each was refused before it had a place: none was let in, waited, and failed then.
    expect((await refusedAtTheDoor(origin)) - refusedBefore).toBe(shed.length)
    expect(server.output()).not.toMatch(/"code":"(request_timeout|internal|render_too_slow)"|render_crashed/)

    // Nothing is left over: the first ones to ask are answered, one and many.
    for (const atOnce of [1, 4, 1]) {
      const after = await pourOpenLoop({ origin, rate: 1000, seconds: atOnce / 1000, targetOf: newMiss })
      expect(after.map(({ status }) => status)).toEqual(Array(atOnce).fill(200))
    }
  } finally {
    await server.kill('SIGTERM')
    rmSync(dataDir, { recursive: true, force: true })
  }
}, 90_000)

const isShed = ({ status, retryAfter }: Outcome) => status === 503 && Number(retryAfter) >= 1

async function refusedAtTheDoor(origin: string): Promise<number> {
  const metrics = await (await fetch(`${origin}/-/metrics`)).text()
  const counts = metrics.matchAll(/halftone_events_total\{part="renderers",event="refused_for_(?:room|cost)"\} (\d+)/g)
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0)
}
