import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { startOriginServer } from '../helpers/http-origin-server.ts'
import { makePictureFolder } from '../helpers/picture-folder.ts'
import { spawnHalftone } from '../helpers/spawn-halftone.ts'
import { apiAs, startUploads, until, type UploadServer } from '../helpers/upload-api.ts'
import { startWebhookReceiver, webhookSecret, type Reply, type WebhookReceiver } from '../helpers/webhook-receiver.ts'

let photo: Buffer
beforeAll(async () => (photo = await drawGradientJpeg(640, 480)))

async function startReceiver(...reply: Parameters<typeof startWebhookReceiver>): Promise<WebhookReceiver> {
  const receiver = await startWebhookReceiver(...reply)
  onTestFinished(() => receiver.close())
  return receiver
}

async function start(url: string, settings: Record<string, string> = {}): Promise<UploadServer> {
  const folder = mkdtempSync(join(tmpdir(), 'halftone-projects-'))
  const file = join(folder, 'projects.json')
  writeFileSync(file, '{"projects":{"another":{}}}')
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const server = await startUploads({
    HALFTONE_PROJECTS_FILE: file,
    HALFTONE_WEBHOOK_URL: url,
    HALFTONE_WEBHOOK_SECRET: webhookSecret,
    HALFTONE_ALLOW_ADDRESSES: '127.0.0.0/8',
    ...settings,
  })
  onTestFinished(() => server.stop())
  return server
}

const apiKey = 'a-key-for-these-tests'
const ok = () => ({ status: 204 })

type Message = {
  id: string
  type: string
  state: string
  attempts: number
  lastError?: string
  nextAttemptAt?: string
  data: unknown
}

async function messagesOf(server: UploadServer, state?: string): Promise<Message[]> {
  const answer = await server.admin.get(`/v1/messages${state === undefined ? '' : `?state=${state}`}`)
  expect(answer.status).toBe(200)
  return answer.json['messages'] as Message[]
}

/** Time goes by for those who wait. */
const letTimePass = (server: UploadServer) =>
  server.sql("UPDATE outbox SET next_attempt_at_ms = 0 WHERE state = 'waiting'")

describe('every end is told once, signed', () => {
  test('of a good upload, at once', async () => {
    const receiver = await startReceiver(ok)
    const server = await start(receiver.url)
    const { id } = await server.admin.begin(photo)
    await server.admin.confirm(id)
    const endedMs = Date.now()
    await until(() => receiver.received.length === 1, 'the message')
    // Not only by the look that is taken every second.
    expect(Date.now() - endedMs).toBeLessThan(500)
    const [message] = receiver.received
    const { image } = (await server.admin.get(`/v1/uploads/${id}`)).json as { image: { id: string } }
    expect(message?.verified).toMatchObject({
      type: 'upload.ready',
      data: { uploadId: id, imageId: image.id, version: 1, width: 640, height: 480, format: 'jpeg' },
    })
    expect(Math.abs(Date.parse(message?.verified?.timestamp ?? '') - Date.now())).toBeLessThan(10_000)
    expect(message?.headers['content-type']).toBe('application/json')
    expect(message?.id).toMatch(/^msg_/)
    await until(async () => (await messagesOf(server, 'delivered')).length === 1, 'the note of the delivery')
    await new Promise((resolve) => setTimeout(resolve, 1500))
    expect(receiver.received).toHaveLength(1)
  })

  test('of the other ends, and of what becomes of images', async () => {
    const receiver = await startReceiver(ok)
    const server = await start(receiver.url, { HALFTONE_UPLOAD_SWEEP_SECONDS: '1' })
    const rejected = await server.admin.begin(Buffer.from('no picture at all'))
    await server.admin.confirm(rejected.id)
    const dropped = await server.admin.presign(photo)
    await server.admin.delete(`/v1/uploads/${dropped.id}`)
    const expired = await server.admin.presign(photo)
    await server.sql('UPDATE uploads SET expires_at_ms = 0 WHERE id = ?', expired.id)
    const ready = await server.admin.upload(photo)
    await server.admin.patch(`/v1/images/${ready.image.id}`, { filename: 'b.jpg' })
    await server.admin.delete(`/v1/images/${ready.image.id}`)
    await until(() => receiver.received.length >= 6, 'six messages')
    const told = receiver.received.map(({ verified }) => [
      verified?.type,
      verified?.data['uploadId'] ?? verified?.data['imageId'],
    ])
    expect(told).toHaveLength(6)
    expect(told).toEqual(
      expect.arrayContaining([
        ['upload.rejected', rejected.id],
        ['upload.deleted', dropped.id],
        ['upload.expired', expired.id],
        ['upload.ready', ready.id],
        ['image.updated', ready.image.id],
        ['image.deleted', ready.image.id],
      ]),
    )
    const reason = receiver.received.find(({ verified }) => verified?.type === 'upload.rejected')?.verified?.data[
      'error'
    ]
    expect(reason).toMatchObject({ code: 'type_mismatch' })
  })

  test('of a quarantine and its review', async () => {
    const receiver = await startReceiver(ok)
    const moderator = await startOriginServer((_request, response) => response.end('{"verdict":"quarantine"}'))
    onTestFinished(() => moderator.close())
    const server = await start(receiver.url, { HALFTONE_MODERATION_URL: moderator.url })
    const { id, image } = await server.admin.begin(photo)
    await server.admin.confirm(id)
    await server.admin.patch(`/v1/images/${image.id}`, { state: 'ready' })
    await until(() => receiver.received.length === 2, 'two messages')
    expect(receiver.types()).toEqual(['upload.quarantined', 'image.approved'])
  })
})

test('a failure is tried again, after five seconds, under the same id', async () => {
  const receiver = await startReceiver((_received, count) => ({ status: count === 1 ? 500 : 200 }))
  const server = await start(receiver.url)
  await server.admin.upload(photo)
  await until(() => receiver.received.length === 1, 'the first attempt')
  const failedAtMs = Date.now()
  await until(async () => (await messagesOf(server, 'waiting'))[0]?.lastError === 'answered 500', 'the note of it')
  await until(() => receiver.received.length === 2, 'the second attempt')
  expect(Date.now() - failedAtMs).toBeGreaterThan(4500)
  const [first, second] = receiver.received
  expect(second?.id).toBe(first?.id)
  expect(second?.verified).toEqual(first?.verified)
  expect(second?.headers['webhook-timestamp']).not.toBe(first?.headers['webhook-timestamp'])
  await until(async () => (await messagesOf(server, 'delivered')).length === 1, 'the note of the delivery')
})

test('after the last attempt it is dead, and replayed by hand', async () => {
  const receiver = await startReceiver(() => ({ status: 500 }))
  const server = await start(receiver.url)
  await server.admin.upload(photo)
  await until(async () => (await messagesOf(server))[0]?.lastError !== undefined, 'the first attempt')
  await server.sql('UPDATE outbox SET attempts = 9')
  await letTimePass(server)
  await until(async () => (await messagesOf(server, 'dead')).length === 1, 'its end')
  const [dead] = await messagesOf(server, 'dead')
  expect(dead).toMatchObject({ type: 'upload.ready', state: 'dead', attempts: 10, lastError: 'answered 500' })
  expect(dead?.nextAttemptAt).toBeUndefined()
  expect(await messagesOf(server, 'waiting')).toEqual([])
  const path = `/v1/messages/${String(dead?.id)}/replay`

  const attempts = receiver.received.length
  receiver.decide(ok)
  const clerk = await server.user('clerk')
  expect((await clerk.post(path)).status).toBe(403)
  expect((await clerk.get('/v1/messages')).status).toBe(403)
  const stranger = await server.user('stranger', { scopes: 'admin', project: 'another' })
  expect((await stranger.post(path)).status).toBe(404)
  expect((await stranger.get('/v1/messages')).json['messages']).toEqual([])
  expect((await server.admin.post('/v1/messages/msg_00000000000000000000000000/replay')).status).toBe(404)
  expect((await server.admin.get('/v1/messages?state=lost')).status).toBe(400)

  const replayed = await server.admin.post(path)
  expect([replayed.status, replayed.json['state']]).toEqual([202, 'waiting'])
  await until(async () => (await messagesOf(server, 'delivered')).length === 1, 'the delivery')
  expect(receiver.received).toHaveLength(attempts + 1)
  expect(receiver.received.at(-1)?.id).toBe(dead?.id)
  // A delivered one, too: the receiver may have lost it.
  expect((await server.admin.post(path)).status).toBe(202)
  await until(() => receiver.received.length === attempts + 2, 'another delivery')
})

test('one that waits for its next attempt is sent at once when it is replayed', async () => {
  const receiver = await startReceiver(() => ({ status: 500 }))
  const server = await start(receiver.url)
  await server.admin.upload(photo)
  await until(async () => (await messagesOf(server))[0]?.lastError !== undefined, 'the first attempt')
  const [waiting] = await messagesOf(server, 'waiting')
  await server.sql('UPDATE outbox SET next_attempt_at_ms = ?', Date.now() + 3_600_000)
  receiver.decide(ok)
  expect((await server.admin.post(`/v1/messages/${String(waiting?.id)}/replay`)).status).toBe(202)
  await until(async () => (await messagesOf(server, 'delivered')).length === 1, 'the delivery')
  expect(receiver.received.map(({ id }) => id)).toEqual([waiting?.id, waiting?.id])
})

describe('410 Gone', () => {
  const webhookOf = async (server: UploadServer) => (await server.admin.get('/v1/messages')).json['webhook']
  const replay = (server: UploadServer, filter: object = {}) => server.admin.post('/v1/messages/replay', filter)
  const dead = async (server: UploadServer) => (await messagesOf(server, 'dead')).length

  test('disables the webhook, and everybody is told; what was not sent is replayed in one call', async () => {
    const receiver = await startReceiver(() => ({ status: 410 }))
    const server = await start(receiver.url)
    expect(await webhookOf(server)).toEqual({ state: 'enabled' })
    const { image } = await server.admin.upload(photo)
    await until(async () => (await dead(server)) === 1, 'its end')
    await server.admin.patch(`/v1/images/${image.id}`, { subject: 'b' })
    await server.admin.delete(`/v1/images/${image.id}`)
    await until(async () => (await dead(server)) === 3, 'the ends of the others')
    expect(receiver.received).toHaveLength(1)
    const errors = (await messagesOf(server, 'dead')).map(({ lastError }) => lastError)
    expect(errors.toReversed()).toEqual([
      'answered 410',
      ...Array<string>(2).fill('not sent: the webhook is disabled, as it answered 410'),
    ])
    expect(await webhookOf(server)).toEqual({
      ...{ state: 'disabled', reason: 'answered 410' },
      since: expect.stringMatching(/^\d{4}-.*Z$/) as string,
    })
    const told = server.halftone.logLines.filter(({ event }) => event === 'webhook_disabled')
    expect(told).toMatchObject([{ project: 'default', host: `127.0.0.1:${receiver.port}` }])
    const metrics = async () => (await server.halftone.get('/-/metrics')).text()
    expect(await metrics()).toContain('halftone_webhooks{state="disabled"} 1\n')

    receiver.decide(ok)
    expect((await replay(server, { type: 'image.approved' })).json).toEqual({ replayed: 0, more: false })
    expect((await replay(server, { since: new Date(Date.now() + 60_000).toISOString() })).json['replayed']).toBe(0)
    expect((await replay(server, { type: 'image.deleted' })).json).toEqual({ replayed: 1, more: false })
    await until(() => receiver.received.length === 2, 'one of them')
    const answer = await replay(server, { since: new Date(Date.now() - 60_000).toISOString() })
    expect([answer.status, answer.json]).toEqual([202, { replayed: 2, more: false }])
    await until(async () => (await messagesOf(server, 'delivered')).length === 3, 'all of them')
    expect(new Set(receiver.types().slice(1))).toEqual(new Set(['image.deleted', 'upload.ready', 'image.updated']))
    expect(await webhookOf(server)).toEqual({ state: 'enabled' })
    expect(await metrics()).toContain('halftone_webhooks{state="disabled"} 0\n')
  })

  test('may be called back by one message, and only by who runs the project', async () => {
    const receiver = await startReceiver(() => ({ status: 410 }))
    const server = await start(receiver.url)
    await server.admin.upload(photo)
    await until(async () => (await dead(server)) === 1, 'its end')
    const clerk = await server.user('clerk')
    expect((await clerk.post('/v1/messages/replay', {})).status).toBe(403)
    const stranger = await server.user('stranger', { scopes: 'admin', project: 'another' })
    expect((await stranger.post('/v1/messages/replay', {})).json).toEqual({ replayed: 0, more: false })
    for (const wrong of [{ since: 'yesterday' }, { until: 'now' }, { type: 1 }]) {
      expect((await replay(server, wrong)).json['code']).toBe('bad_request')
    }
    const unknown = await replay(server, { type: 'upload.redy' })
    expect([unknown.status, unknown.json['detail']]).toEqual([
      400,
      expect.stringMatching(/^"type": expected one of upload\.ready, .*image\.deleted, got "upload\.redy"\.$/),
    ])
    expect(await webhookOf(server)).toMatchObject({ state: 'disabled' })
    const [message] = await messagesOf(server, 'dead')
    receiver.decide(ok)
    await server.admin.post(`/v1/messages/${String(message?.id)}/replay`)
    await until(async () => (await messagesOf(server, 'delivered')).length === 1, 'its delivery')
    expect(await webhookOf(server)).toEqual({ state: 'enabled' })
  })
})

test('a redirect is not followed', async () => {
  const elsewhere = await startReceiver(ok)
  const receiver = await startReceiver(() => ({ status: 307, headers: { location: elsewhere.url } }))
  const server = await start(receiver.url)
  await server.admin.upload(photo)
  await until(async () => (await messagesOf(server))[0]?.lastError === 'answered 307', 'the attempt')
  expect(elsewhere.received).toEqual([])
})

describe('addresses that are not of the internet', () => {
  test.each([
    ['by number', (port: number) => `http://127.0.0.1:${port}/hook`],
    ['by name', (port: number) => `http://localhost:${port}/hook`],
    ['in disguise', (port: number) => `http://0x7f.1:${port}/hook`],
  ])('are not spoken to without allowance: %s', async (_, urlOf) => {
    const receiver = await startReceiver(ok)
    const server = await start(urlOf(receiver.port), { HALFTONE_ALLOW_ADDRESSES: '10.9.8.0/24' })
    await server.admin.upload(photo)
    await until(async () => (await messagesOf(server))[0]?.lastError !== undefined, 'the attempt')
    expect(await messagesOf(server)).toMatchObject([
      {
        state: 'waiting',
        lastError: expect.stringMatching(/^source_address_refused.*HALFTONE_WEBHOOK_ALLOW_ADDRESSES/) as string,
      },
    ])
    expect(receiver.received).toEqual([])
  })

  test.each([
    ['by number', (port: number) => `http://127.0.0.1:${port}/hook`],
    ['by name', (port: number) => `http://localhost:${port}/hook`],
  ])('are warned of at the start: %s', async (_, urlOf) => {
    const server = await start(urlOf(9), { HALFTONE_ALLOW_ADDRESSES: '10.9.8.0/24' })
    const warned = () => server.halftone.logLines.find(({ event }) => event === 'webhook_address_refused')
    await until(() => warned() !== undefined, 'the warning')
    expect(warned()).toMatchObject({ error: expect.stringContaining('HALFTONE_WEBHOOK_ALLOW_ADDRESSES') as string })
  })

  test('are spoken to where they are allowed for webhooks, and opened to no import by that', async () => {
    const receiver = await startReceiver(ok)
    const server = await start(receiver.url, {
      HALFTONE_ALLOW_ADDRESSES: '10.9.8.0/24',
      HALFTONE_WEBHOOK_ALLOW_ADDRESSES: '127.0.0.0/8',
    })
    await server.admin.upload(photo)
    await until(() => receiver.received.length === 1, 'the message')
    expect(server.halftone.logLines.some(({ event }) => event === 'webhook_address_refused')).toBe(false)
    const imported = await server.admin.post('/v1/images', { url: receiver.url })
    expect([imported.status, imported.json['code']]).toEqual([403, 'source_address_refused'])
    // Nothing but messages came, the one of the refused import among them.
    expect(receiver.received.every(({ verified }) => verified !== undefined)).toBe(true)
  })
})

test('a dead job is shown and tried again: the upload that failed becomes an image', async () => {
  const receiver = await startReceiver(ok)
  const server = await start(receiver.url, { HALFTONE_UPLOAD_RETRY_HOURS: '0', HALFTONE_UPLOAD_QUOTA_OBJECTS: '1' })
  const objects = join(server.dataDir, 'uploads', 'objects')
  const { id } = await server.admin.begin(photo)
  // Where the folder should be: nothing can be stored.
  rmSync(objects, { recursive: true })
  writeFileSync(objects, '')
  await server.admin.confirm(id)
  expect((await server.admin.get(`/v1/uploads/${id}`)).json).toMatchObject({
    state: 'failed',
    error: { code: 'processing_failed' },
  })
  const deadJobs = async () => (await server.admin.get('/v1/jobs/dead')).json['jobs'] as { id: string }[]
  const [dead] = await deadJobs()
  expect(dead).toMatchObject({ kind: 'process-upload', attempts: 1, upload: { id, state: 'failed' } })
  expect(await (await server.halftone.get('/-/metrics')).text()).toContain('halftone_jobs{state="dead"} 1\n')
  rmSync(objects)
  mkdirSync(objects)

  const path = `/v1/jobs/dead/${String(dead?.id)}/retry`
  const clerk = await server.user('clerk')
  expect([(await clerk.get('/v1/jobs/dead')).status, (await clerk.post(path)).status]).toEqual([403, 403])
  const stranger = await server.user('stranger', { scopes: 'admin', project: 'another' })
  expect((await stranger.post(path)).status).toBe(404)
  expect((await stranger.get('/v1/jobs/dead')).json['jobs']).toEqual([])
  // What a failed upload no longer holds back may have been given to another.
  const other = await server.admin.upload(await drawGradientJpeg(320, 240))
  const full = await server.admin.post(path)
  expect([full.status, full.json['code']]).toEqual([403, 'quota_exceeded'])
  await server.admin.delete(`/v1/images/${other.image.id}`)

  expect((await server.admin.post(path)).status).toBe(202)
  const settled = (await server.admin.get(`/v1/uploads/${id}`, { Prefer: 'wait=20' })).json
  expect(settled).toMatchObject({ state: 'ready', image: { state: 'ready', width: 640 } })
  expect(settled).not.toHaveProperty('error')
  expect((await server.admin.get('/v1/usage')).json).toMatchObject({ objects: 1, openUploads: 0, reservedBytes: 0 })
  expect(await deadJobs()).toEqual([])
  expect((await server.admin.post(path)).status).toBe(404)
  const told = () => receiver.received.filter(({ verified }) => verified?.data['uploadId'] === id)
  await until(() => told().length === 2, 'both ends')
  expect(told().map(({ verified }) => verified?.type)).toEqual(['upload.failed', 'upload.ready'])
})

test('dead jobs are tried again in one call, those that cannot be are counted', async () => {
  const server = await start('http://127.0.0.1:9/hook', { HALFTONE_UPLOAD_RETRY_HOURS: '0' })
  const objects = join(server.dataDir, 'uploads', 'objects')
  const begun = await Promise.all([1, 2, 3].map(() => server.admin.begin(photo)))
  rmSync(objects, { recursive: true })
  writeFileSync(objects, '')
  for (const { id } of begun) await server.admin.confirm(id)
  rmSync(objects)
  mkdirSync(objects)
  const retry = (filter: object = {}) => server.admin.post('/v1/jobs/dead/retry', filter)
  expect((await (await server.user('clerk')).post('/v1/jobs/dead/retry', {})).status).toBe(403)
  expect((await retry({ since: '2100-01-01T00:00:00Z' })).json).toEqual({ retried: 0, refused: 0, more: false })
  expect((await retry({ since: 'now' })).json['code']).toBe('bad_request')
  await server.admin.delete(`/v1/uploads/${begun[1]!.id}`)
  const answer = await retry({ since: '2020-01-01T00:00:00+01:00' })
  expect([answer.status, answer.json]).toEqual([202, { retried: 2, refused: 1, more: false }])
  const states = begun.map(async ({ id }) => {
    return (await server.admin.get(`/v1/uploads/${id}`, { Prefer: 'wait=20' })).json['state']
  })
  expect(await Promise.all(states)).toEqual(['ready', 'deleted', 'ready'])
})

describe('kill -9 between the commit and the delivery', () => {
  test.each<[string, () => Reply | 'never']>([
    ['before the next attempt', () => ({ status: 503 })],
    ['in the middle of an attempt', () => 'never'],
  ])('%s loses nothing', async (_, reply) => {
    const receiver = await startReceiver(reply)
    const pictures = makePictureFolder({})
    const dataDir = mkdtempSync(join(tmpdir(), 'halftone-data-'))
    onTestFinished(() => {
      pictures.remove()
      rmSync(dataDir, { recursive: true, force: true })
    })
    const run = () =>
      spawnHalftone({
        ...{ HALFTONE_SOURCE: pictures.folder, HALFTONE_DATA_DIR: dataDir, HALFTONE_RENDERERS: '1' },
        ...{ HALFTONE_API_KEYS: `app:${apiKey}`, HALFTONE_ALLOW_ADDRESSES: '127.0.0.0/8' },
        ...{ HALFTONE_WEBHOOK_URL: receiver.url, HALFTONE_WEBHOOK_SECRET: webhookSecret },
      })
    const first = await run()
    const { id } = await apiAs(first.origin, apiKey).upload(photo)
    await until(() => receiver.received.length === 1, 'an attempt')
    await first.kill('SIGKILL')
    receiver.decide(ok)
    // The lease of the dead process, or the pause after the failure, is over.
    const database = new Database(join(dataDir, 'halftone.sqlite'))
    expect(database.prepare("UPDATE outbox SET next_attempt_at_ms = 0 WHERE state = 'waiting'").run().changes).toBe(1)
    database.close()
    const second = await run()
    onTestFinished(() => second.kill('SIGTERM').then(() => undefined))
    await until(() => receiver.received.length === 2, 'the delivery')
    expect(receiver.received[1]?.id).toBe(receiver.received[0]?.id)
    expect(receiver.received[1]?.verified).toMatchObject({ type: 'upload.ready', data: { uploadId: id } })
    const messages = async () => (await apiAs(second.origin, apiKey).get('/v1/messages')).json['messages']
    await until(async () => JSON.stringify(await messages()).includes('"delivered"'), 'the note of the delivery')
  })
})
