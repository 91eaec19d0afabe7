import { afterAll, beforeAll, expect, test } from 'vitest'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { makePictureFolder } from '../helpers/picture-folder.ts'
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
