import { createHmac } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { drawGradientJpeg, drawQuadrantsJpeg } from '../helpers/draw-picture.ts'
import { makePictureFolder } from '../helpers/picture-folder.ts'
import { startHalftone, type RunningHalftone } from '../helpers/start-halftone.ts'

const secret = 'a-secret-of-some-length'
let originals: ReturnType<typeof makePictureFolder>
let stored: RunningHalftone
let long: RunningHalftone

// Nothing fits into the memory tier, so that every hit comes from disk.
const fromDisk = { HALFTONE_MEMORY_CACHE_MB: '0', HALFTONE_SIGNING_KEYS: `k1:${secret}` }

beforeAll(async () => {
  originals = makePictureFolder({ 'a.jpg': await drawGradientJpeg(300, 200) })
  originals.write(
    'sources.json',
    JSON.stringify({
      sources: [
        { name: 'secret', folder: originals.folder, pathPrefix: '/secret', visibility: 'private' },
        { name: 'open', folder: originals.folder },
      ],
    }),
  )
  const settings = {
    ...fromDisk,
    HALFTONE_SOURCES_FILE: `${originals.folder}/sources.json`,
    HALFTONE_SOURCE_STATE_SECONDS: '60',
  }
  stored = await startHalftone(settings)
  long = await startHalftone({ ...settings, HALFTONE_HOT_ENTRIES: '0' })
})
afterAll(async () => {
  await stored.stop()
  await long.stop()
  originals.remove()
})

const sign = (target: string) =>
  `${target}${target.includes('?') ? '&' : '?'}sig=${createHmac('sha256', secret).update(target).digest('base64url')}`
const volatile = new Set(['date', 'server-timing', 'x-request-id', 'connection', 'keep-alive'])

async function ask(halftone: RunningHalftone, target: string, headers: Record<string, string> = {}) {
  const response = await halftone.get(target, headers)
  const body = Buffer.from(await response.arrayBuffer())
  return {
    status: response.status,
    body: body.toString('base64'),
    head: [...response.headers].filter(([name]) => !volatile.has(name)),
    cache: response.headers.get('cache-status'),
    etag: response.headers.get('etag'),
    id: response.headers.get('x-request-id'),
  }
}

/** Rendered, found on disk, and from then on known. */
async function know(halftone: RunningHalftone, target: string, headers: Record<string, string> = {}) {
  await ask(halftone, target, headers)
  await expect
    .poll(async () => (await ask(halftone, target, headers)).cache, { timeout: 5000 })
    .toBe('halftone; hit; detail=disk')
}

async function storedFiles(halftone: RunningHalftone): Promise<string[]> {
  const folder = join(halftone.dataDir, 'cache', 'entries')
  const paths = (await readdir(folder, { recursive: true })).map((name) => join(folder, name))
  const files: string[] = []
  for (const path of paths) if ((await stat(path)).isFile()) files.push(path)
  return files
}

test.each([
  ['/a.jpg?w=100', {}],
  ['/a.jpg?w=101&auto=format', { accept: 'image/webp' }],
  ['/a.jpg?w=101&auto=format', { accept: '*/*' }],
  [sign('/secret/a.jpg?w=103'), {}],
] as const)('%s %j: a known URL is answered from disk as the long way does', async (target, headers) => {
  await know(stored, target, headers)
  await know(long, target, headers)
  const [fast, slow] = [await ask(stored, target, headers), await ask(long, target, headers)]
  expect({ ...fast, id: '' }).toEqual({ ...slow, id: '' })
  expect(fast.cache).toBe('halftone; hit; detail=disk')
  const conditional = { ...headers, 'if-none-match': String(fast.etag) }
  expect((await ask(stored, target, conditional)).status).toBe(304)
  expect(await ask(stored, target, { ...headers, range: 'bytes=0-1' })).toMatchObject({ status: 206 })
})

test('each answer has an id of its own or the one that was sent, and is logged and counted as from disk', async () => {
  await know(stored, '/a.jpg?w=110')
  const ids = new Set<string | null>()
  for (let i = 0; i < 5; i += 1) ids.add((await ask(stored, '/a.jpg?w=110')).id)
  expect(ids.size).toBe(5)
  const count = async () =>
    Number(
      /halftone_requests_total\{status="200",outcome="disk"\} (\d+)/.exec(
        await (await stored.get('/-/metrics')).text(),
      )?.[1],
    )
  const before = await count()
  expect((await ask(stored, '/a.jpg?w=110', { 'x-request-id': 'mine' })).id).toBe('mine')
  expect(await count()).toBe(before + 1)
  expect(stored.logLines.filter((line) => line['requestId'] === 'mine')).toMatchObject([
    { event: 'request', path: '/a.jpg', status: 200, outcome: 'disk', width: 110 },
  ])
})

test('a stored result that was altered is rendered again, and never served', async () => {
  await know(stored, '/a.jpg?w=120')
  const before = await ask(stored, '/a.jpg?w=120')
  // A result may still be on its way to the disk when the others are altered; each time another bit, so that none is put right again.
  let bit = 1
  const bodies = new Set<string>()
  await expect
    .poll(
      async () => {
        for (const path of await storedFiles(stored)) {
          const bytes = readFileSync(path)
          const late = bytes.length - 20
          bytes.writeUInt8((bytes[late] ?? 0) ^ bit, late)
          writeFileSync(path, bytes)
        }
        bit = (bit << 1) & 0xff || 1
        const altered = await ask(stored, '/a.jpg?w=120')
        bodies.add(altered.body)
        return altered.cache
      },
      { timeout: 10_000, interval: 300 },
    )
    .toMatch(/fwd=miss/)
  expect([...bodies]).toEqual([before.body])
})

test('a private URL is refused when its time has come', async () => {
  const target = sign(`/secret/a.jpg?w=130&expires=${Math.floor(Date.now() / 1000) + 3}`)
  await know(stored, target)
  const { head } = await ask(stored, target)
  const cacheControl = String(head.find(([name]) => name === 'cache-control')?.[1])
  expect(cacheControl).toMatch(/^private, max-age=[0-3]$/)
  await new Promise((resolve) => setTimeout(resolve, 3100))
  expect((await ask(stored, target)).status).toBe(403)
})

test('a changed original is seen', async () => {
  originals.write('c.jpg', await drawGradientJpeg(64, 64))
  const quick = await startHalftone({
    ...fromDisk,
    HALFTONE_SOURCE: originals.folder,
    HALFTONE_SOURCE_STATE_SECONDS: '1',
  })
  try {
    await know(quick, '/c.jpg?w=32')
    const before = (await ask(quick, '/c.jpg?w=32')).body
    originals.write('c.jpg', await drawQuadrantsJpeg(64, 64))
    await expect.poll(async () => (await ask(quick, '/c.jpg?w=32')).body, { timeout: 8000 }).not.toBe(before)
  } finally {
    await quick.stop()
  }
})

test('a hundred at once are all answered whole, by as little as one read', async () => {
  await know(stored, '/a.jpg?w=140')
  const { body } = await ask(stored, '/a.jpg?w=140')
  const all = await Promise.all(Array.from({ length: 100 }, () => ask(stored, '/a.jpg?w=140')))
  expect(new Set(all.map((answer) => answer.body))).toEqual(new Set([body]))
  expect(new Set(all.map((answer) => answer.id)).size).toBe(100)
})
