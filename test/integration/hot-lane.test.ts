import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { drawAnimation, drawGradientJpeg, drawQuadrantsJpeg } from '../helpers/draw-picture.ts'
import { makePictureFolder } from '../helpers/picture-folder.ts'
import { startHalftone, type RunningHalftone } from '../helpers/start-halftone.ts'

const secret = 'a-secret-of-some-length'
let originals: ReturnType<typeof makePictureFolder>
let hot: RunningHalftone
let long: RunningHalftone

beforeAll(async () => {
  originals = makePictureFolder({
    'a.jpg': await drawGradientJpeg(300, 200),
    'b.gif': await drawAnimation('gif', { width: 40, height: 30, frames: 3 }),
  })
  originals.write(
    'sources.json',
    JSON.stringify({
      sources: [
        { name: 'secret', folder: originals.folder, pathPrefix: '/secret', visibility: 'private' },
        { name: 'other', folder: originals.folder, host: 'other.example', defaultParams: 'w=50' },
        { name: 'open', folder: originals.folder },
      ],
    }),
  )
  const settings = {
    HALFTONE_SOURCES_FILE: `${originals.folder}/sources.json`,
    HALFTONE_SIGNING_KEYS: `k1:${secret}`,
    // Long, so that a slow machine does not cool what a test has just heated.
    HALFTONE_SOURCE_STATE_SECONDS: '60',
  }
  hot = await startHalftone(settings)
  long = await startHalftone({ ...settings, HALFTONE_HOT_ENTRIES: '0' })
})
afterAll(async () => {
  await hot.stop()
  await long.stop()
  originals.remove()
})

const sign = (target: string) =>
  `${target}${target.includes('?') ? '&' : '?'}sig=${createHmac('sha256', secret).update(target).digest('base64url')}`
const volatile = new Set(['date', 'server-timing', 'x-request-id', 'connection', 'keep-alive'])

async function ask(halftone: RunningHalftone, target: string, headers: Record<string, string> = {}, method = 'GET') {
  const response = await fetch(`${halftone.origin}${target}`, { method, headers })
  const body = Buffer.from(await response.arrayBuffer())
  const isHot =
    response.headers.get('server-timing') === `cache;desc=${response.status === 304 ? 'not-modified' : 'memory'}`
  return {
    status: response.status,
    isHot,
    body: body.toString('base64'),
    head: [...response.headers].filter(([name]) => !volatile.has(name)),
    id: response.headers.get('x-request-id'),
    etag: response.headers.get('etag'),
  }
}
async function heat(target: string, headers: Record<string, string> = {}) {
  await ask(hot, target, headers)
  await ask(hot, target, headers)
}

test.each([
  ['/a.jpg?w=100', {}],
  ['/a.jpg', {}],
  ['/a.jpg?w=101&auto=format', { accept: 'image/avif,image/webp' }],
  ['/a.jpg?w=101&auto=format', { accept: 'image/webp' }],
  ['/a.jpg?w=101&auto=format', { accept: '*/*' }],
  ['/b.gif?w=20&auto=format', { accept: 'image/avif,image/webp' }],
  ['/a.jpg?w=102&dl=x.jpg', {}],
  [sign('/secret/a.jpg?w=103'), {}],
] as const)('%s %j: a hot answer is the same as the long way answers', async (target, headers) => {
  await heat(target, headers)
  await ask(long, target, headers)
  for (const method of ['GET', 'HEAD']) {
    const fast = await ask(hot, target, headers, method)
    const slow = await ask(long, target, headers, method)
    expect([fast.isHot, slow.isHot]).toEqual([true, false])
    expect({ ...fast, id: '', isHot: true }).toEqual({ ...slow, id: '', isHot: true })
  }
  const { etag } = await ask(hot, target, headers)
  const fast = await ask(hot, target, { ...headers, 'if-none-match': String(etag) })
  const slow = await ask(long, target, { ...headers, 'if-none-match': String(etag) })
  expect([fast.status, fast.isHot]).toEqual([304, true])
  expect({ ...fast, id: '', isHot: true }).toEqual({ ...slow, id: '', isHot: true })
})

test('every hot answer has an id of its own, or the one that was sent', async () => {
  await heat('/a.jpg?w=110')
  const ids = new Set<string | null>()
  for (let i = 0; i < 5; i += 1) ids.add((await ask(hot, '/a.jpg?w=110')).id)
  expect(ids.size).toBe(5)
  expect((await ask(hot, '/a.jpg?w=110', { 'x-request-id': 'mine' })).id).toBe('mine')
})

test('clients of another class never get what is hot for the first', async () => {
  await heat('/a.jpg?w=111&auto=format', { accept: 'image/avif' })
  expect((await ask(hot, '/a.jpg?w=111&auto=format', { accept: '*/*' })).head).toContainEqual([
    'content-type',
    'image/jpeg',
  ])
})

test('ranges, lists of tags and dates take the long way', async () => {
  await heat('/a.jpg?w=112')
  const { etag, head } = await ask(hot, '/a.jpg?w=112')
  const lastModified = String(head.find(([name]) => name === 'last-modified')?.[1])
  expect(await ask(hot, '/a.jpg?w=112', { range: 'bytes=0-1' })).toMatchObject({ status: 206, isHot: false })
  expect(await ask(hot, '/a.jpg?w=112', { 'if-none-match': `"x", ${etag}` })).toMatchObject({
    status: 304,
    isHot: false,
  })
  expect(await ask(hot, '/a.jpg?w=112', { 'if-modified-since': lastModified })).toMatchObject({
    status: 304,
    isHot: false,
  })
})

test('an expiring URL is never kept too long, and refused when its time has come', async () => {
  const target = sign(`/secret/a.jpg?w=113&expires=${Math.floor(Date.now() / 1000) + 3}`)
  await heat(target)
  const { isHot, head } = await ask(hot, target)
  expect(isHot).toBe(true)
  expect(
    Number(/max-age=(\d+)/.exec(String(head.find(([name]) => name === 'cache-control')))?.[1]),
  ).toBeLessThanOrEqual(3)
  await new Promise((resolve) => setTimeout(resolve, 3100))
  expect((await ask(hot, target)).status).toBe(403)
})

test('a changed original ends what is hot', async () => {
  originals.write('c.jpg', await drawGradientJpeg(64, 64))
  const quick = await startHalftone({ HALFTONE_SOURCE: originals.folder, HALFTONE_SOURCE_STATE_SECONDS: '1' })
  try {
    const bodyOf = async () => (await ask(quick, '/c.jpg?w=32')).body
    const before = await bodyOf()
    for (let i = 0; i < 3; i += 1) expect(await bodyOf()).toBe(before)
    originals.write('c.jpg', await drawQuadrantsJpeg(64, 64))
    await expect.poll(bodyOf, { timeout: 8000, interval: 50 }).not.toBe(before)
  } finally {
    await quick.stop()
  }
})

test('hot requests are logged and counted like all others', async () => {
  await heat('/a.jpg?w=114')
  await ask(hot, '/a.jpg?w=114&s=secret', {})
  const count = async () =>
    Number(
      /halftone_requests_total\{status="200",outcome="memory"\} (\d+)/.exec(
        await (await hot.get('/-/metrics')).text(),
      )?.[1],
    )
  const before = await count()
  await ask(hot, '/a.jpg?w=114', { 'x-request-id': 'hot-one' })
  expect(await count()).toBe(before + 1)
  expect(hot.logLines.filter((line) => line['requestId'] === 'hot-one')).toMatchObject([
    { event: 'request', path: '/a.jpg', status: 200, outcome: 'memory', width: 114 },
  ])
})
