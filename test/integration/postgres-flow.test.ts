import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { openStores } from '../../src/db/open-stores.ts'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { makePictureFolder } from '../helpers/picture-folder.ts'
import { hasPostgres, noPostgres, startPostgres, type PostgresServer } from '../helpers/postgres-server.ts'
import { spawnHalftone } from '../helpers/spawn-halftone.ts'
import { send } from '../contract/upload-target.ts'
import { apiAs, startUploads, targetOf, until, type UploadServer } from '../helpers/upload-api.ts'
import { uploadReady } from '../helpers/store-records.ts'

if (!hasPostgres) console.log(noPostgres)

/** What another process changed is known by a message; this is long for one. */
const heard = { timeout: 1000, interval: 1 }

let postgres: PostgresServer
let folder: string
let pictures: ReturnType<typeof makePictureFolder>
let photo: Buffer
let one: UploadServer
let two: UploadServer

const settings = (url: string) => ({ DATABASE_URL: url, HALFTONE_DATA_DIR: folder, HALFTONE_SOURCE: pictures.folder })

describe.skipIf(!hasPostgres)('uploads on PostgreSQL', () => {
  beforeAll(async () => {
    photo = await drawGradientJpeg(320, 240)
    pictures = makePictureFolder({ 'there.jpg': photo })
    folder = mkdtempSync(join(tmpdir(), 'halftone-postgres-flow-'))
    postgres = await startPostgres()
    const shared = settings(postgres.url(await postgres.createDatabase()))
    one = await startUploads({ ...shared, HALFTONE_UPLOAD_QUOTA_OPEN: '10' })
    two = await startUploads({ ...shared, HALFTONE_UPLOAD_QUOTA_OPEN: '10' })
  })
  afterAll(async () => {
    await Promise.all([one?.stop(), two?.stop()])
    await postgres?.close()
    pictures?.remove()
    if (folder) rmSync(folder, { recursive: true, force: true })
  })

  const get = async (server: UploadServer, target: string) => {
    const response = await fetch(`${server.origin}${target}`)
    await response.arrayBuffer()
    const isHot = response.headers.get('server-timing') === 'cache;desc=memory'
    return { status: response.status, isHot, retryAfter: response.headers.get('retry-after') }
  }
  const heat = (server: UploadServer, target: string) =>
    expect.poll(async () => (await get(server, target)).isHot, { timeout: 5000, interval: 10 }).toBe(true)

  test('the whole way: presign, PUT, confirm, read, sign, share, delete', async () => {
    const { admin } = one
    const { id, image } = await admin.upload(photo)
    expect((await admin.get(`/v1/uploads/${id}`)).json).toMatchObject({ state: 'ready' })
    expect((await get(two, `/u/${image.id}?w=40`)).status).toBe(403)
    const signed = await admin.post(`/v1/images/${image.id}/signed-url`, { params: 'w=40' })
    expect((await get(two, targetOf(String(signed.json['url'])))).status).toBe(200)
    const share = await admin.post(`/v1/images/${image.id}/shares`, { expiresIn: 600, params: 'w=50', maxUses: 2 })
    const target = targetOf(String(share.json['url']))
    const uses = [await get(one, target), await get(two, target), await get(one, target)]
    expect(uses.map(({ status }) => status)).toEqual([200, 200, 403])
    expect((await admin.get('/v1/usage')).json).toMatchObject({ objects: 1, openUploads: 0 })
    expect((await admin.delete(`/v1/images/${image.id}`)).status).toBe(204)
    expect((await get(one, targetOf(String(signed.json['url'])))).status).toBe(404)
    expect((await admin.get(`/v1/images/${image.id}`)).status).toBe(404)
  })

  test('what one process deletes or hides is gone from the hot answers of the other', async () => {
    for (const turn of [0, 1, 2]) {
      const hidden = await one.admin.upload(await drawGradientJpeg(320 + turn, 240), { visibility: 'public' })
      const deleted = await one.admin.upload(await drawGradientJpeg(320, 241 + turn), { visibility: 'public' })
      const targets = [hidden, deleted].map(({ image }) => `/u/${image.id}?w=64`)
      for (const target of targets) await heat(two, target)
      await one.admin.patch(`/v1/images/${hidden.image.id}`, { visibility: 'private' })
      await expect.poll(() => get(two, targets[0] ?? ''), heard).toMatchObject({ status: 403 })
      await heat(two, targets[1] ?? '')
      await one.admin.delete(`/v1/images/${deleted.image.id}`)
      await expect.poll(() => get(two, targets[1] ?? ''), heard).toMatchObject({ status: 404 })
    }
  })

  test('what a process changed itself is so with its own next request', async () => {
    for (const turn of [0, 1, 2, 3]) {
      const { image } = await one.admin.upload(await drawGradientJpeg(400 + turn, 240), { visibility: 'public' })
      await heat(one, `/u/${image.id}?w=64`)
      await one.admin.delete(`/v1/images/${image.id}`)
      expect((await get(one, `/u/${image.id}?w=64`)).status).toBe(404)
    }
  })

  test('a quota holds to the last upload when two processes give permissions at once', async () => {
    const users = [await one.user('greedy'), await two.user('greedy')]
    const intent = { filename: 'a.jpg', type: 'image/jpeg', size: 1000 }
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, n) => (users[n % 2] ?? one.admin).post('/v1/uploads', intent)),
    )
    const codes = answers.map(({ status, json }) => (status === 201 ? 'made' : json['code']))
    expect(codes.filter((code) => code === 'made')).toHaveLength(10)
    expect(codes.filter((code) => code === 'quota_exceeded')).toHaveLength(20)
  })

  test('while the database is away other pictures are served, uploads are told when to come again, and go on after it', async () => {
    const { image } = await one.admin.upload(await drawGradientJpeg(500, 240), { visibility: 'public' })
    const begun = await one.admin.begin(photo)
    const [uploaded, cached] = [`/u/${image.id}?w=64`, '/there.jpg?w=64']
    await heat(one, cached)
    await heat(one, uploaded)
    const intent = { filename: 'a.jpg', type: 'image/jpeg', size: 1000 }

    await postgres.stop()
    await expect.poll(() => get(one, uploaded), heard).toMatchObject({ status: 503 })
    for (let turn = 0; turn < 5; turn += 1) {
      expect((await get(one, cached)).status).toBe(200)
      expect((await get(one, `/there.jpg?w=${70 + turn}`)).status).toBe(200)
      const answers = [
        await one.admin.post('/v1/uploads', intent),
        await one.admin.confirm(begun.id),
        await one.admin.get(`/v1/images/${image.id}`),
      ]
      for (const { status, headers, json } of answers) {
        expect([status, json['code']]).toEqual([503, 'overloaded'])
        expect(Number(headers['retry-after'])).toBeGreaterThan(0)
        expect(JSON.stringify(json)).not.toContain('postgres')
      }
    }
    expect((await get(one, '/-/metrics')).status).toBe(200)

    await postgres.start()
    await until(async () => (await one.admin.post('/v1/uploads', intent)).status === 201, 'a permission')
    expect((await one.admin.confirm(begun.id)).json).toMatchObject({ state: 'ready' })
    await heat(one, uploaded)
    const events = one.halftone.logLines.map(({ event }) => event)
    expect(events).toContain('database_changes_unheard')
    expect(events).toContain('database_changes_heard')
  }, 60_000)

  test('of a database that stands still nothing is believed for longer than two seconds, of one that is gone nothing, and nobody waits for ever', async () => {
    const url = postgres.url(await postgres.createDatabase())
    const stores = await openStores({ postgres: { url, connections: 2, statementTimeoutMs: 500 } })
    onTestFinished(() => stores.close())
    const { image } = await uploadReady(stores)
    const atRest = async () => {
      const before = stores.images.changeMark()
      await new Promise((resolve) => setTimeout(resolve, 100))
      return stores.images.changeMark() === before
    }
    await expect.poll(atRest, { timeout: 5000 }).toBe(true)
    await postgres.freeze(true)
    try {
      const frozenMs = performance.now()
      const read = stores.images.findServed(image.id, undefined)
      await expect(read).rejects.toMatchObject({ code: 'overloaded' })
      expect(performance.now() - frozenMs).toBeLessThan(6000)
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, 2100 - (performance.now() - frozenMs))))
      expect(stores.images.changeMark()).not.toBe(stores.images.changeMark())
    } finally {
      await postgres.freeze(false)
    }
    await expect.poll(() => stores.images.findServed(image.id, undefined), { timeout: 8000 }).toBeDefined()
    await expect.poll(atRest, { timeout: 8000 }).toBe(true)
    await postgres.stop()
    const moves = () => stores.images.changeMark() !== stores.images.changeMark()
    await expect.poll(moves, heard).toBe(true)
    await postgres.start()
    await expect.poll(atRest, { timeout: 8000 }).toBe(true)
  }, 60_000)

  test('what was confirmed is ready in the end, however often its process is killed', async () => {
    const url = postgres.url(await postgres.createDatabase())
    const own = mkdtempSync(join(tmpdir(), 'halftone-postgres-kill-'))
    onTestFinished(() => rmSync(own, { recursive: true, force: true }))
    const key = 'a-key-for-the-kill-test'
    const start = () =>
      spawnHalftone({
        ...{ ...settings(url), HALFTONE_DATA_DIR: own, HALFTONE_RENDERERS: '1', HALFTONE_API_KEYS: `app:${key}` },
        HALFTONE_PUBLIC_URL: 'http://127.0.0.1',
      })
    const confirmed: string[] = []
    for (const killAfterMs of [0, 20, 200]) {
      const server = await start()
      const api = apiAs(server.origin, key)
      const uploads = await Promise.all(
        Array.from({ length: 3 }, async () => {
          const { id, upload } = await api.presign(photo)
          await send({ ...upload, url: `${server.origin}${targetOf(upload.url)}` }, photo)
          return id
        }),
      )
      const confirms = uploads.map((id) =>
        api.confirm(id, 0).then(
          ({ status }) => void (status <= 202 && confirmed.push(id)),
          () => undefined,
        ),
      )
      await Promise.race(confirms)
      await new Promise((resolve) => setTimeout(resolve, killAfterMs))
      await server.kill('SIGKILL')
      await Promise.all(confirms)
    }
    expect(confirmed.length).toBeGreaterThan(2)
    const last = await start()
    onTestFinished(async () => void (await last.kill('SIGTERM')))
    const api = apiAs(last.origin, key)
    // The lease of a dead process lasts for half a minute: as if that had passed.
    const database = url.split('/').at(-1) ?? ''
    await postgres.sql(database, 'update jobs set due_at_ms = 0')
    for (const id of confirmed) {
      const state = async () => (await api.get(`/v1/uploads/${id}`)).json['state']
      await expect.poll(state, { timeout: 20_000, interval: 50 }).toBe('ready')
    }
    const stores = await openStores({ postgres: { url, connections: 2, statementTimeoutMs: 10_000 } })
    onTestFinished(() => stores.close())
    expect(await stores.uploads.recount(false)).toEqual([])
    const twice = 'select upload_id from versions group by upload_id having count(*) > 1'
    expect(await postgres.sql(database, twice)).toEqual([])
  }, 90_000)
})
