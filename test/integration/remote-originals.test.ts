import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ask } from '../helpers/ask.ts'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { startOriginServer, type Handler, type OriginServer } from '../helpers/http-origin-server.ts'
import { makePictureFolder } from '../helpers/picture-folder.ts'
import { startHalftone, type RunningHalftone } from '../helpers/start-halftone.ts'

let pictures: readonly [Buffer, Buffer]
let origin: OriginServer
let dataDir = ''
const running: RunningHalftone[] = []

beforeAll(async () => {
  pictures = [Buffer.from(await drawGradientJpeg(60, 40)), Buffer.from(await drawGradientJpeg(64, 48))]
  origin = await startOriginServer((_request, response) => void response.end())
})
afterAll(() => origin.close())
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'halftone-remote-'))
  origin.requests.length = 0
  return async () => {
    await Promise.all(running.splice(0).map((halftone) => halftone.stop()))
    rmSync(dataDir, { recursive: true, force: true })
  }
})

async function start(settings: Record<string, string> = {}): Promise<RunningHalftone> {
  const halftone = await startHalftone({
    HALFTONE_SOURCE: origin.url,
    HALFTONE_ALLOW_ADDRESSES: '127.0.0.0/8',
    HALFTONE_DATA_DIR: dataDir,
    HALFTONE_SOURCE_STATE_SECONDS: '0',
    HALFTONE_MIN_FRESH_SECONDS: '0',
    HALFTONE_STALE_WHILE_REVALIDATE_SECONDS: '0',
    HALFTONE_RENDERERS: '1',
    ...settings,
  })
  running.push(halftone)
  return halftone
}

/** A picture with an ETag and a life, that answers 304 to who knows it. */
const serve =
  (picture: () => Buffer, etag: string, cacheControl = 'max-age=600'): Handler =>
  (request, response) => {
    const headers = { ETag: etag, 'Cache-Control': cacheControl }
    if (request.headers['if-none-match'] === etag) return void response.writeHead(304, headers).end()
    response.writeHead(200, headers).end(picture())
  }

test('ten variants fetch the original once, one after the other and all at once', async () => {
  origin.answer(serve(() => pictures[0], '"1"'))
  const halftone = await start()
  const widths = Array.from({ length: 5 }, (_, at) => 10 + at)
  for (const w of widths) expect(await ask(halftone, `/a.jpg?w=${w}`)).toMatchObject({ status: 200 })
  await Promise.all(widths.map((w) => ask(halftone, `/a.jpg?w=${w + 20}`)))
  expect(origin.requests).toHaveLength(1)
})

test('originals outlive a restart: a new variant needs no origin', async () => {
  origin.answer(serve(() => pictures[0], '"1"'))
  const first = await start()
  await ask(first, '/a.jpg?w=20')
  await first.stop()
  running.length = 0
  origin.answer((request) => void request.socket.destroy())
  const second = await start()
  expect(await ask(second, '/a.jpg?w=30')).toMatchObject({ status: 200 })
  expect(origin.requests).toHaveLength(1)
})

describe('an original that is asked for again', () => {
  test.each([
    ['not modified', () => serve(() => pictures[0], '"1"', 'no-cache')],
    ['sent again under another ETag', () => serve(() => pictures[0], `"${Math.random()}"`, 'no-cache')],
  ])('and %s keeps its variants', async (_what, handler) => {
    origin.answer(serve(() => pictures[0], '"1"', 'no-cache'))
    const halftone = await start()
    const first = await ask(halftone, '/a.jpg?w=20')
    origin.answer(handler())
    const second = await ask(halftone, '/a.jpg?w=20')
    expect(origin.requests.length).toBeGreaterThan(1)
    expect(second.headers.get('etag')).toBe(first.headers.get('etag'))
    expect(second.headers.get('cache-status')).toContain('hit')
  })

  test('and has changed gets new variants', async () => {
    origin.answer(serve(() => pictures[0], '"1"', 'no-cache'))
    const halftone = await start()
    const first = await ask(halftone, '/a.jpg')
    origin.answer(serve(() => pictures[1], '"2"', 'no-cache'))
    const second = await ask(halftone, '/a.jpg')
    expect(first.body).toEqual(pictures[0])
    expect(second.body).toEqual(pictures[1])
  })

  test('and changes at every look is given whole, as one of its contents', async () => {
    let sent = 0
    origin.answer((_request, response) => void response.end(pictures[(sent += 1) % 2]))
    const halftone = await start()
    for (let round = 0; round < 10; round += 1) {
      const answer = await ask(halftone, '/a.jpg')
      if (answer.status === 200) expect(pictures).toContainEqual(answer.body)
      else expect(answer.status).toBeGreaterThanOrEqual(500)
    }
  })

  test('and is gone is 404, briefly', async () => {
    origin.answer(serve(() => pictures[0], '"1"', 'no-cache'))
    const halftone = await start({ HALFTONE_NEGATIVE_SECONDS: '1' })
    await ask(halftone, '/a.jpg?w=20')
    origin.answer((_request, response) => void response.writeHead(404).end())
    expect(await ask(halftone, '/a.jpg?w=20')).toMatchObject({ status: 404, code: 'not_found' })
    origin.answer(serve(() => pictures[0], '"1"'))
    const requests = origin.requests.length
    expect(await ask(halftone, '/a.jpg?w=20')).toMatchObject({ status: 404 })
    expect(origin.requests).toHaveLength(requests)
    await sleep(1000)
    expect(await ask(halftone, '/a.jpg?w=20')).toMatchObject({ status: 200 })
  })
})

describe('stale originals', () => {
  test('are served at once while they are asked for, and while the origin is down', async () => {
    origin.answer(serve(() => pictures[0], '"1"', 'no-cache'))
    const halftone = await start({ HALFTONE_STALE_WHILE_REVALIDATE_SECONDS: '60' })
    await ask(halftone, '/a.jpg')
    let release = () => {}
    const gate = new Promise<void>((resolve) => (release = resolve))
    const changed = serve(() => pictures[1], '"2"', 'no-cache')
    origin.answer((request, response) => void gate.then(() => changed(request, response)))
    expect((await ask(halftone, '/a.jpg')).body).toEqual(pictures[0])
    release()
    await expect.poll(async () => (await ask(halftone, '/a.jpg')).body.equals(pictures[1])).toBe(true)
    for (const down of [500, 503, 0]) {
      origin.answer(
        (request, response) => void (down === 0 ? request.socket.destroy() : response.writeHead(down).end()),
      )
      expect(await ask(halftone, `/a.jpg?w=${20 + down}`)).toMatchObject({ status: 200 })
    }
  })

  test('are no longer served when their time is over', async () => {
    origin.answer(serve(() => pictures[0], '"1"', 'no-cache'))
    const halftone = await start({ HALFTONE_STALE_IF_ERROR_SECONDS: '0' })
    await ask(halftone, '/a.jpg')
    origin.answer((_request, response) => void response.writeHead(500).end())
    expect(await ask(halftone, '/a.jpg')).toMatchObject({ status: 502, code: 'source_failed' })
  })
})

test.each([
  ['max-age=600', '600'],
  ['max-age=600, s-maxage=300', '300'],
  ['no-store', '10'],
  ['private, max-age=600', '10'],
  ['max-age=31536000, immutable', '1000'],
])('Cache-Control: %s of the origin gives max-age=%s within the bounds', async (cacheControl, maxAge) => {
  origin.answer(serve(() => pictures[0], '"1"', cacheControl))
  const halftone = await start({ HALFTONE_MIN_FRESH_SECONDS: '10', HALFTONE_MAX_FRESH_SECONDS: '1000' })
  for (let round = 0; round < 3; round += 1) {
    const answer = await ask(halftone, '/a.jpg?w=20')
    // What is left of it, and a slow machine may take a second or two between the rounds.
    const told = Number(
      /^public, max-age=(\d+), stale-while-revalidate=0$/.exec(String(answer.headers.get('cache-control')))?.[1],
    )
    expect(told).toBeLessThanOrEqual(Number(maxAge))
    expect(told).toBeGreaterThan(Number(maxAge) - 10)
  }
})

test('an answer tells what is left of the life of its original, also from the hot lane and in a 304', async () => {
  origin.answer((request, response) => {
    const headers = { ETag: '"1"', 'Cache-Control': 'max-age=600', Age: '570' }
    response.writeHead(request.headers['if-none-match'] === '"1"' ? 304 : 200, headers)
    response.end(request.headers['if-none-match'] === '"1"' ? undefined : pictures[0])
  })
  const halftone = await start({ HALFTONE_SOURCE_STATE_SECONDS: '60' })
  const leftAt = async (headers: Record<string, string> = {}) => {
    const answer = await ask(halftone, '/a.jpg?w=20', headers)
    const seconds = /^public, max-age=(\d+),/.exec(answer.headers.get('cache-control') ?? '')?.[1]
    return { seconds: Number(seconds), etag: answer.headers.get('etag') ?? '' }
  }
  const first = await leftAt()
  expect(first.seconds).toBeGreaterThan(20)
  expect(first.seconds).toBeLessThanOrEqual(30)
  await sleep(2500)
  const after = []
  for (let round = 0; round < 4; round += 1) after.push((await leftAt()).seconds)
  after.push((await leftAt({ 'if-none-match': first.etag })).seconds)
  expect(after.filter((seconds) => !(seconds <= 28 && seconds > 15))).toEqual([])
  expect(origin.requests).toHaveLength(1)
})

test('an origin that is never believed is asked once for each request, misses too', async () => {
  origin.answer(serve(() => pictures[0], '"1"', 'no-cache'))
  const halftone = await start()
  for (let width = 20; width < 25; width += 1)
    expect(await ask(halftone, `/a.jpg?w=${width}`)).toMatchObject({ status: 200 })
  expect(origin.requests).toHaveLength(5)
})

test('a source that is slow fills its own line and no other; what is too much is answered 503', async () => {
  const folder = makePictureFolder({})
  folder.write(
    'sources.json',
    JSON.stringify({
      sources: [
        { name: 'slow', kind: 'http', url: `${origin.url}/slow`, pathPrefix: '/slow', fetches: 1, totalSeconds: 1.5 },
        { name: 'quick', kind: 'http', url: `${origin.url}/quick`, pathPrefix: '/quick' },
      ],
    }),
  )
  origin.answer((request, response) => {
    if (request.url?.startsWith('/quick') === true) response.end(pictures[0])
  })
  const halftone = await start({
    HALFTONE_SOURCE: '',
    HALFTONE_SOURCES_FILE: `${folder.folder}/sources.json`,
    HALFTONE_FETCH_QUEUE: '2',
  })
  const slow = Array.from({ length: 6 }, (_, at) => ask(halftone, `/slow/${at}.jpg?w=20`))
  await sleep(100)
  expect(await ask(halftone, '/quick/a.jpg?w=20')).toMatchObject({ status: 200 })
  const codes = (await Promise.all(slow)).map(({ code }) => code)
  expect(codes.filter((code) => code === 'overloaded').length).toBeGreaterThanOrEqual(3)
  expect(origin.requests.filter(({ url }) => url.startsWith('/slow')).length).toBeLessThanOrEqual(3)
  folder.remove()
})

test('the bound on fetches holds for all sources together', async () => {
  const folder = makePictureFolder({})
  const sources = ['a', 'b'].map((name) => ({ name, kind: 'http', url: origin.url, pathPrefix: `/${name}` }))
  folder.write('sources.json', JSON.stringify({ sources }))
  let release = () => {}
  origin.answer((_request, response) => void (release = () => void response.end(pictures[0])))
  const halftone = await start({
    ...{ HALFTONE_SOURCE: '', HALFTONE_SOURCES_FILE: `${folder.folder}/sources.json` },
    ...{ HALFTONE_FETCHES: '1', HALFTONE_FETCH_QUEUE: '0' },
  })
  const first = ask(halftone, '/a/1.jpg?w=20')
  await expect.poll(() => origin.requests.length).toBe(1)
  expect(await ask(halftone, '/b/1.jpg?w=20')).toMatchObject({ status: 503, code: 'overloaded' })
  release()
  expect(await first).toMatchObject({ status: 200 })
  expect(origin.requests).toHaveLength(1)
  folder.remove()
})

test('a fallback answers while the first choice is down, and the metrics say so', async () => {
  const other = await startOriginServer(serve(() => pictures[1], '"2"', 'no-cache'))
  const folder = makePictureFolder({})
  const fallbacks = [{ kind: 'http', url: other.url }]
  folder.write(
    'sources.json',
    JSON.stringify({
      sources: [{ name: 'shop', kind: 'http', url: origin.url, fallbacks, negativeSeconds: 0, breakerFailures: 3 }],
    }),
  )
  origin.answer(serve(() => pictures[0], '"1"', 'no-cache'))
  const halftone = await start({
    HALFTONE_SOURCE: '',
    HALFTONE_SOURCES_FILE: `${folder.folder}/sources.json`,
    HALFTONE_MIN_FRESH_SECONDS: '60',
  })
  try {
    expect((await ask(halftone, '/a.jpg')).body).toEqual(pictures[0])
    origin.answer((_request, response) => void response.writeHead(503).end())
    const before = origin.requests.length
    for (let round = 0; round < 7; round += 1) expect((await ask(halftone, `/${round}.jpg`)).body).toEqual(pictures[1])
    expect(origin.requests.length - before).toBe(3)
    const metrics = await (await halftone.get('/-/metrics')).text()
    expect(metrics).toContain('halftone_events_total{part="sources",event="fallback_used"} 7')
    expect(metrics).toContain('halftone_events_total{part="sources",event="breaker_opened"} 1')
    expect(halftone.logLines).toContainEqual(
      expect.objectContaining({ event: 'source_breaker_opened', source: 'shop', origin: 'http-0' }),
    )
  } finally {
    folder.remove()
    await other.close()
  }
})
