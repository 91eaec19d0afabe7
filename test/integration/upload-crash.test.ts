import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'better-sqlite3'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openStores } from '../../src/db/open-stores.ts'
import { createJobQueue } from '../../src/jobs/create-job-queue.ts'
import { inspectUploads } from '../../src/uploads/doctor/inspect-uploads.ts'
import { depsForDoctor } from '../../src/uploads/doctor/open-deps.ts'
import { createDiskTarget } from '../../src/uploads/targets/disk-target.ts'
import { drawGradientJpeg, drawQuadrants } from '../helpers/draw-picture.ts'
import { spawnHalftone, type SpawnedHalftone } from '../helpers/spawn-halftone.ts'
import { never, uploadsConfig } from '../helpers/upload-stage.ts'

const kills = 50
const lanes = 2
const clients = 12
const secret = 'a-secret-of-at-least-thirty-two-characters'

type Picture = { readonly bytes: Buffer; readonly type: string; readonly filename: string }
type Told = { readonly imageId: string; readonly picture: Picture; readonly isReady: boolean }

let dataDir: string
let pictures: Picture[]
const servers = new Set<SpawnedHalftone>()
beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'halftone-upload-crash-'))
  pictures = await Promise.all(
    Array.from({ length: 16 }, async (_, at): Promise<Picture> => {
      const [width, height] = [120 + at * 20, 90 + at * 10]
      return at % 2 === 0
        ? { bytes: await drawGradientJpeg(width, height, { gps: true }), type: 'image/jpeg', filename: `${at}.jpg` }
        : { bytes: await drawQuadrants(width, height).png().toBuffer(), type: 'image/png', filename: `${at}.png` }
    }),
  )
})
afterAll(async () => {
  await Promise.all([...servers].map((server) => server.kill('SIGKILL')))
  rmSync(dataDir, { recursive: true, force: true })
})

const settings = () => ({
  ...{ HALFTONE_SOURCE: dataDir, HALFTONE_DATA_DIR: dataDir, HALFTONE_RENDERERS: '1' },
  ...{ HALFTONE_API_KEYS: `app:${secret}`, HALFTONE_UPLOAD_VISIBILITY: 'public' },
  ...{ HALFTONE_UPLOADS_PER_MINUTE_OWNER: '100000', HALFTONE_API_REQUESTS_PER_MINUTE: '100000' },
  ...{ HALFTONE_UPLOAD_GRACE_SECONDS: '60', HALFTONE_UPLOAD_SWEEP_SECONDS: '1' },
})

async function start(): Promise<SpawnedHalftone> {
  const server = await spawnHalftone(settings())
  servers.add(server)
  return server
}

/** From here on nobody is sent there, and those who are there get no answer. */
async function kill(server: SpawnedHalftone): Promise<void> {
  await server.kill('SIGKILL')
  servers.delete(server)
}

/** Asks whichever server is there; undefined when it died meanwhile. */
async function ask(method: string, path: string, body?: unknown, headers = {}) {
  const origin = anyOf([...servers])?.origin ?? 'http://127.0.0.1:1'
  try {
    const isJson = body !== undefined && !(body instanceof Buffer)
    const response = await fetch(`${origin}${path}`, {
      method,
      headers: { authorization: `Bearer ${secret}`, ...(isJson && { 'content-type': 'application/json' }), ...headers },
      ...(body !== undefined && { body: isJson ? JSON.stringify(body) : new Uint8Array(body as Buffer) }),
      signal: AbortSignal.timeout(10_000),
    })
    return { status: response.status, answer: (await response.json().catch(() => ({}))) as Answer }
  } catch {
    await sleep(20)
    return undefined
  }
}
type Answer = {
  id?: string
  state?: string
  code?: string
  image?: { id?: string; url?: string }
  upload?: { url: string; headers: Record<string, string> }
}

/** The whole flow over and over, as an application would: again after every failure. Some clients go away in the middle. */
async function upload(told: Map<string, Told>, strange: unknown[], isOver: () => boolean) {
  for (let turn = 0; !isOver(); turn++) {
    const picture = anyOf(pictures)
    if (!picture) return
    const { bytes, type, filename } = picture
    const presigned = await ask('POST', '/v1/uploads', { filename, type, size: bytes.length })
    if (!presigned) continue
    const { id, image, upload: permission } = presigned.answer
    if (presigned.status !== 201 || id === undefined || image?.id === undefined || !permission) {
      strange.push(presigned)
      continue
    }
    if (turn % 10 === 8) continue
    const { pathname, search } = new URL(permission.url)
    const put = await untilAnswered(() => ask('PUT', `${pathname}${search}`, bytes, permission.headers), isOver)
    // A PUT whose answer was lost is refused the second time.
    if (put && put.status >= 300 && put.status !== 412) strange.push(put)
    if (turn % 10 === 9) continue
    const confirmed = await untilAnswered(() => ask('POST', `/v1/uploads/${id}/confirm`), isOver)
    if (!confirmed) continue
    if (confirmed.status > 202 && confirmed.answer.code !== 'render_refused') strange.push(confirmed)
    if (confirmed.status <= 202) told.set(id, { imageId: image.id, picture, isReady: false })
    // What was said to be ready, however long ago, has to be ready at the end.
    const earlier = anyOf([...told])
    const seen = earlier && (await ask('GET', `/v1/uploads/${earlier[0]}`))
    if (earlier && seen?.answer.state === 'ready') told.set(earlier[0], { ...earlier[1], isReady: true })
  }
}

function anyOf<T>(items: readonly T[]): T | undefined {
  return items[Math.floor(Math.random() * items.length)]
}

async function untilAnswered<T>(work: () => Promise<T | undefined>, isOver: () => boolean): Promise<T | undefined> {
  for (let tries = 0; tries < 200 && !isOver(); tries++) {
    const answer = await work()
    if (answer !== undefined) return answer
  }
  return undefined
}

/** Servers that are killed at random points of their lives; the next one starts meanwhile, or lives beside for a while. */
async function keepKilling(countKill: () => boolean): Promise<void> {
  for (let server = await start(); ;) {
    const next = start()
    // Confirming waits for the first renderer: most live until shortly after the next one is there, so that something is confirmed.
    if (Math.random() < 0.7) await next
    await sleep(Math.random() ** 2 * 1500)
    const [renderer] = server.renderers()
    if (renderer !== undefined && Math.random() < 0.3) {
      process.kill(renderer, 'SIGKILL')
      await sleep(Math.random() * 100)
    }
    await kill(server)
    server = await next
    if (!countKill()) return
  }
}

/** Two hours later: leases, permissions and graces are over. */
function letTimePass(): void {
  const db = new Database(join(dataDir, 'halftone.sqlite'))
  const ms = 7_200_000
  db.exec(`update uploads set updated_at_ms = updated_at_ms - ${ms}, expires_at_ms = expires_at_ms - ${ms};
    update objects set updated_at_ms = updated_at_ms - ${ms}; update jobs set due_at_ms = due_at_ms - ${ms}`)
  db.close()
}

test(`killed ${kills} times at random points: nothing that was confirmed is lost, and nothing is left that is not explained`, async () => {
  const told = new Map<string, Told>()
  const strange: unknown[] = []
  let left = kills
  const killing = Promise.all(Array.from({ length: lanes }, () => keepKilling(() => --left >= lanes)))
  const uploading = Array.from({ length: clients }, () => upload(told, strange, () => left < lanes))
  await killing
  await Promise.all(uploading)
  expect(strange).toEqual([])
  expect(told.size).toBeGreaterThan(kills)

  await Promise.all([...servers].map(kill))
  letTimePass()
  await start()
  const stores = await openStores({ file: join(dataDir, 'halftone.sqlite') })
  const { uploads: config } = uploadsConfig(dataDir, settings())
  const now = () => Date.now() + 86_400_000
  const target = createDiskTarget({ folder: join(dataDir, 'uploads'), publicOrigin: () => '', secret: 's', now })
  const queue = createJobQueue({ table: stores.jobs, config, drainMs: 0, log: { warn: () => undefined } })
  try {
    const open = { states: ['pending', 'uploaded', 'processing'], expiredAtMs: Infinity, limit: 1000 } as const
    await expect.poll(async () => (await stores.uploads.stale(open)).length, { timeout: 60_000, interval: 200 }).toBe(0)

    const faults: unknown[] = []
    let ready = 0
    for (const [id, { imageId, picture, isReady }] of told) {
      const record = await stores.uploads.find(id)
      const served = await stores.images.findServed(imageId, undefined)
      // Whose renderer was killed twice over the same picture is refused it for a while.
      if (!isReady && record?.state === 'rejected' && record.reason?.code === 'render_refused') continue
      ready += 1
      const bytes = served && (await target.read(served.version.objectKey, { maxBytes: 1e7 }, never))
      if (record?.state !== 'ready' || !bytes)
        faults.push({ id, isReady, state: record?.state, reason: record?.reason })
      else if (!(await hasSamePixels(bytes, picture.bytes))) faults.push({ id, pixels: 'other' })
    }
    expect(faults).toEqual([])
    expect(ready).toBeGreaterThan(told.size * 0.9)
    for (const id of [...told.keys()].slice(0, 10)) {
      const seen = await ask('GET', `/v1/uploads/${id}`)
      if (seen?.answer.state === 'ready') expect((await fetch(seen.answer.image?.url ?? '')).status).toBe(200)
    }

    const db = new Database(join(dataDir, 'halftone.sqlite'), { readonly: true })
    expect(db.prepare('select upload_id from versions group by upload_id having count(*) > 1').all()).toEqual([])
    db.close()
    expect(await stores.uploads.recount(false)).toEqual([])

    const deps = depsForDoctor({ config, stores, target, queue, now, log: () => undefined })
    const options = { isFixing: false, isDeep: true, isForced: false }
    const found = async (isFixing: boolean) =>
      (await inspectUploads({ ...options, isFixing }, deps, never))
        .filter(({ count, severity }) => count > 0 && severity !== 'note')
        .map(({ name }) => name)
    const explained = ['staging_of_ended_upload', 'unfinished_object', 'open_parts']
    expect((await found(true)).filter((name) => !explained.includes(name))).toEqual([])
    expect(await found(false)).toEqual([])
    process.stdout.write(`${kills} kills: ${told.size} confirmed, ${ready} ready\n`)
  } finally {
    await queue.close()
    await stores.close()
  }
}, 300_000)

async function hasSamePixels(one: Buffer, other: Buffer): Promise<boolean> {
  const [a, b] = await Promise.all([one, other].map((bytes) => sharp(bytes).raw().toBuffer()))
  return a !== undefined && b !== undefined && a.equals(b)
}
