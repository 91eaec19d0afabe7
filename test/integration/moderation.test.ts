import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import sharp from 'sharp'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { startClamdServer } from '../helpers/clamd-server.ts'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { startOriginServer } from '../helpers/http-origin-server.ts'
import { spawnHalftone } from '../helpers/spawn-halftone.ts'
import { startUploads, targetOf, until, type Answer, type UploadServer } from '../helpers/upload-api.ts'
import { startWebhookReceiver, webhookSecret, type Reply } from '../helpers/webhook-receiver.ts'

let photo: Buffer
let other: Buffer
beforeAll(async () => {
  photo = await drawGradientJpeg(1600, 1200)
  // Large blots: something that a perceptual hash can hold on to.
  const blots = Buffer.from(Array.from({ length: 12 * 9 }, (_, index) => (index * index * 97 + index * 31) % 256))
  other = await sharp(blots, { raw: { width: 12, height: 9, channels: 1 } })
    .resize(1200, 900, { kernel: 'cubic' })
    .jpeg()
    .toBuffer()
})

async function start(settings: Record<string, string>): Promise<UploadServer> {
  const server = await startUploads({ HALFTONE_MODERATION_SECONDS: '1', ...settings })
  onTestFinished(() => server.stop())
  return server
}

async function startModerator(reply: (body: Record<string, unknown>) => Reply | 'never') {
  const moderator = await startWebhookReceiver(({ body }) => reply(JSON.parse(body) as Record<string, unknown>))
  onTestFinished(() => moderator.close())
  return moderator
}

const saying = (answer: unknown): Reply => ({ status: 200, body: JSON.stringify(answer) })

/** Presign, PUT, confirm, and the upload as its owner sees it in the end. */
async function uploaded(server: UploadServer, bytes: Buffer, intent: Record<string, unknown> = {}) {
  const { id } = await server.admin.begin(bytes, intent)
  await server.admin.confirm(id)
  return (await server.admin.get(`/v1/uploads/${id}`)).json as {
    id: string
    state: string
    error?: { code: string; detail?: string }
    image: { id: string; url: string; state?: string; version?: number; srcset?: string }
  }
}

/** However they are asked for: by version, newest, with and without a signature, in any size. */
async function expectHidden(server: UploadServer, imageId: string): Promise<void> {
  for (const path of [
    `/u/${imageId}`,
    `/u/${imageId}/1/photo.jpg`,
    `/u/${imageId}?w=100`,
    `/u/${imageId}/1?w=64&fm=png`,
  ]) {
    expect([path, (await server.halftone.get(path)).status]).toEqual([path, 404])
  }
  const signed = await server.admin.post(`/v1/images/${imageId}/signed-url`, {})
  if (signed.status !== 200) return expect([404, 409]).toContain(signed.status)
  expect((await server.halftone.get(targetOf(String(signed.json['url'])))).status).toBe(404)
}

const shown = async (server: UploadServer, image: Answer): Promise<number> =>
  (await server.halftone.get(targetOf(String(image.json['url'])))).status

describe('a moderator behind a URL', () => {
  test('is shown a small signed rendition, and its word counts', async () => {
    const moderator = await startModerator(() => saying({ verdict: 'allow' }))
    const server = await start({ HALFTONE_MODERATION_URL: moderator.url, HALFTONE_MODERATION_SECRET: webhookSecret })
    const upload = await uploaded(server, photo, { visibility: 'public' })
    expect(upload.state).toBe('ready')
    expect(moderator.received).toHaveLength(1)
    const [asked] = moderator.received
    expect(asked?.verified).toMatchObject({
      ...{ imageId: upload.image.id, project: 'default', visibility: 'public', kind: null },
      sha256: createHash('sha256').update(photo).digest('hex'),
    })
    const { preview } = JSON.parse(asked?.body ?? '') as { preview: { contentType: string; base64: string } }
    const small = await sharp(Buffer.from(preview.base64, 'base64')).metadata()
    expect([preview.contentType, small.format, small.width, small.height]).toEqual(['image/jpeg', 'jpeg', 512, 384])
    expect(small.exif).toBeUndefined()
  })

  test('without a secret nothing is signed', async () => {
    const moderator = await startModerator(() => saying({ verdict: 'allow' }))
    const server = await start({ HALFTONE_MODERATION_URL: moderator.url })
    await uploaded(server, photo)
    expect(Object.keys(moderator.received[0]?.headers ?? {}).filter((name) => name.startsWith('webhook-'))).toEqual([])
  })

  test('that rejects leaves no image and no bytes', async () => {
    const moderator = await startModerator(() => saying({ verdict: 'reject', reason: 'nudity' }))
    const server = await start({ HALFTONE_MODERATION_URL: moderator.url })
    const upload = await uploaded(server, photo, { visibility: 'public' })
    expect(upload).toMatchObject({ state: 'rejected', error: { code: 'moderation_rejected', detail: 'nudity' } })
    await expectHidden(server, upload.image.id)
    await until(() => server.files('staging').size === 0, 'its bytes go')
    expect(server.files('objects').size).toBe(0)
  })

  test('that quarantines leaves it to a reviewer, who lets it through', async () => {
    const moderator = await startModerator(() => saying({ verdict: 'quarantine', reason: 'violence' }))
    const server = await start({ HALFTONE_MODERATION_URL: moderator.url })
    const upload = await uploaded(server, photo, { visibility: 'public' })
    const imageId = upload.image.id
    expect(upload).toMatchObject({
      ...{ state: 'quarantined', error: { code: 'quarantined', detail: 'violence' } },
      image: { id: imageId, state: 'quarantined' },
    })
    expect(upload.image.srcset).toBeUndefined()
    await expectHidden(server, imageId)
    expect((await server.admin.get('/v1/images?state=quarantined')).json).toMatchObject({ images: [{ id: imageId }] })

    const owner = await server.user('somebody', { scopes: 'uploads:write images:read images:write' })
    expect((await owner.patch(`/v1/images/${imageId}`, { state: 'ready' })).status).toBe(403)
    const strangerReviews = await server.user('stranger', { scopes: 'images:review' })
    expect((await strangerReviews.patch(`/v1/images/${imageId}`, { state: 'ready' })).status).toBe(404)
    const clerk = await server.user('clerk', { scopes: 'owners:any images:write' })
    expect((await clerk.patch(`/v1/images/${imageId}`, { state: 'ready' })).status).toBe(403)
    const reviewer = await server.user('reviewer', { scopes: 'owners:any images:read images:review' })
    const approved = await reviewer.patch(`/v1/images/${imageId}`, { state: 'ready' })
    expect([approved.status, approved.json['state']]).toEqual([200, 'ready'])
    expect(await shown(server, approved)).toBe(200)
    expect((await server.admin.get(`/v1/uploads/${upload.id}`)).json).not.toHaveProperty('error')
    expect((await reviewer.patch(`/v1/images/${imageId}`, { state: 'rejected' })).status).toBe(409)
  })

  test('that quarantines leaves it to a reviewer, who throws it out with its bytes', async () => {
    const moderator = await startModerator(() => saying({ verdict: 'quarantine', reason: 'violence' }))
    const server = await start({ HALFTONE_MODERATION_URL: moderator.url })
    const upload = await uploaded(server, photo)
    expect(server.files('objects').size).toBe(1)
    const rejected = await server.admin.patch(`/v1/images/${upload.image.id}`, { state: 'rejected' })
    expect([rejected.status, rejected.json['state']]).toEqual([200, 'rejected'])
    await expectHidden(server, upload.image.id)
    expect(server.files('objects').size).toBe(0)
    const error = { code: 'moderation_rejected', detail: 'violence' }
    expect((await server.admin.get(`/v1/uploads/${upload.id}`)).json).toMatchObject({ state: 'rejected', error })
    const again = await server.admin.confirm(upload.id)
    expect([again.status, again.json['code']]).toEqual([422, 'moderation_rejected'])
    expect((await server.admin.get('/v1/usage')).json).toMatchObject({ storedBytes: 0, objects: 0 })
  })

  test('a rejected picture does not take the bytes of its approved twin along', async () => {
    let verdict = 'allow'
    const moderator = await startModerator(() => saying({ verdict }))
    const server = await start({ HALFTONE_MODERATION_URL: moderator.url })
    const first = await uploaded(server, photo, { visibility: 'public' })
    verdict = 'quarantine'
    const second = await uploaded(server, photo, { visibility: 'public' })
    expect(second.state).toBe('quarantined')
    await server.admin.patch(`/v1/images/${second.image.id}`, { state: 'rejected' })
    expect(server.files('objects').size).toBe(1)
    expect((await server.halftone.get(`${targetOf(first.image.url)}&w=123`)).status).toBe(200)
    await expectHidden(server, second.image.id)
  })

  test.each<[string, (body: Record<string, unknown>) => Reply | 'never']>([
    ['fails', () => ({ status: 500 })],
    ['answers no JSON', () => ({ status: 200, body: '<html>Sign in</html>' })],
    ['answers another verdict', () => saying({ verdict: 'fine' })],
    ['allows with another status', () => ({ status: 203, body: '{"verdict":"allow"}' })],
    ['answers too much', () => ({ status: 200, body: JSON.stringify({ verdict: 'allow', more: 'x'.repeat(70_000) }) })],
    ['never answers', () => 'never'],
  ])('that %s could not be asked: the picture waits', async (_, reply) => {
    const moderator = await startModerator(reply)
    const server = await start({ HALFTONE_MODERATION_URL: moderator.url })
    for (const visibility of ['public', 'private']) {
      const upload = await uploaded(server, photo, { visibility })
      expect(upload).toMatchObject({ state: 'quarantined', error: { detail: 'webhook_unreachable' } })
      await expectHidden(server, upload.image.id)
    }
    expect(server.halftone.logLines.some(({ event }) => event === 'moderator_failed')).toBe(true)
  })

  test('that answers something else is told so in words', async () => {
    const moderator = await startModerator(() => saying({ ok: true }))
    const server = await start({ HALFTONE_MODERATION_URL: moderator.url })
    await uploaded(server, photo)
    const line = server.halftone.logLines.find(({ event }) => event === 'moderator_failed')
    expect(line?.['error']).toMatch(/expected \{"verdict": "allow", "quarantine" or "reject"\}.*got .*ok/)
    expect(line?.['error']).not.toMatch(/invalid_value|\n/)
  })

  test('is not followed to another place', async () => {
    const elsewhere = await startOriginServer((_request, response) => response.end('{"verdict":"allow"}'))
    onTestFinished(() => elsewhere.close())
    const moderator = await startModerator(() => ({ status: 307, headers: { location: elsewhere.url } }))
    const server = await start({ HALFTONE_MODERATION_URL: moderator.url })
    expect((await uploaded(server, photo)).state).toBe('quarantined')
    expect(elsewhere.requests).toEqual([])
  })

  test('that cannot be asked lets private pictures through where the operator wishes so, public ones never', async () => {
    let reply: Reply = { status: 503 }
    const moderator = await startModerator(() => reply)
    const server = await start({
      HALFTONE_MODERATION_URL: moderator.url,
      HALFTONE_MODERATION_UNREACHABLE: 'allow-private',
    })
    const unjudged = await uploaded(server, photo, { visibility: 'private' })
    expect(unjudged.state).toBe('ready')
    expect((await uploaded(server, other, { visibility: 'public' })).state).toBe('quarantined')

    const publish = async () =>
      (await server.admin.patch(`/v1/images/${unjudged.image.id}`, { visibility: 'public' })).json
    expect(await publish()).toMatchObject({ code: 'wrong_state' })
    reply = saying({ verdict: 'reject', reason: 'nudity' })
    expect(await publish()).toMatchObject({ code: 'moderation_rejected', detail: 'nudity' })
    reply = saying({ verdict: 'allow' })
    expect(await publish()).toMatchObject({ visibility: 'public' })
  })

  test('is asked again before everybody sees what it allowed in private', async () => {
    const moderator = await startModerator(({ visibility }) =>
      saying({ verdict: visibility === 'public' ? 'reject' : 'allow' }),
    )
    const server = await start({ HALFTONE_MODERATION_URL: moderator.url })
    const { image } = await uploaded(server, photo, { visibility: 'private' })
    const published = await server.admin.patch(`/v1/images/${image.id}`, { visibility: 'public' })
    expect(published.json).toMatchObject({ code: 'moderation_rejected' })
    expect((await server.halftone.get(`/u/${image.id}`)).status).toBe(403)
  })
})

describe('another kind', () => {
  const verdicts: Record<string, unknown> = { avatar: 'allow', banner: 'reject', cover: 'quarantine' }

  async function startKinds(settings: Record<string, string> = {}) {
    const folder = mkdtempSync(join(tmpdir(), 'halftone-kinds-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const file = join(folder, 'projects.json')
    const kinds = { avatar: {}, banner: { visibility: 'public' }, cover: {}, stamp: { maxWidth: 100 } }
    writeFileSync(file, JSON.stringify({ projects: { default: { kinds } } }))
    const asked: unknown[] = []
    const moderator = await startModerator(({ kind, visibility }) => {
      asked.push([kind, visibility])
      return saying({ verdict: verdicts[String(kind)] ?? 'allow' })
    })
    const server = await start({ HALFTONE_MODERATION_URL: moderator.url, HALFTONE_PROJECTS_FILE: file, ...settings })
    return { server, asked }
  }

  test.each(['private', 'public'])('of a %s image is judged as that kind before it becomes one', async (visibility) => {
    const { server, asked } = await startKinds()
    const { image } = await uploaded(server, photo, { visibility })
    const change = async (said: object) => (await server.admin.patch(`/v1/images/${image.id}`, said)).json
    expect(asked.splice(0)).toEqual([[null, visibility]])
    expect(await change({ kind: 'banner' })).toMatchObject({ status: 422, code: 'moderation_rejected' })
    expect(await change({ kind: 'cover' })).toMatchObject({ status: 409, code: 'wrong_state' })
    // Its rules come first, and need nobody to be asked.
    expect(await change({ kind: 'stamp' })).toMatchObject({ status: 422, code: 'dimensions_not_allowed' })
    expect((await server.admin.get(`/v1/images/${image.id}`)).json).not.toHaveProperty('kind')
    expect(await change({ kind: 'avatar' })).toMatchObject({ kind: 'avatar', visibility })
    expect(asked.splice(0)).toEqual(['banner', 'cover', 'avatar'].map((kind) => [kind, visibility]))
    // What it is already is no change.
    expect(await change({ kind: 'avatar', subject: 'me' })).toMatchObject({ subject: 'me' })
    expect(asked).toEqual([])
  })

  test('and for all to see is one question; hidden again, none', async () => {
    const { server, asked } = await startKinds()
    const { image } = await uploaded(server, photo, { visibility: 'private' })
    const change = async (said: object) => (await server.admin.patch(`/v1/images/${image.id}`, said)).status
    expect(await change({ kind: 'avatar', visibility: 'public' })).toBe(200)
    expect(await change({ visibility: 'private' })).toBe(200)
    expect(asked).toEqual([
      [null, 'private'],
      ['avatar', 'public'],
    ])
  })

  test('waits for a moderator that cannot be asked, but for private ones where the operator wishes so', async () => {
    const { server } = await startKinds({ HALFTONE_MODERATION_UNREACHABLE: 'allow-private' })
    const [hidden, shown] = [
      await uploaded(server, photo, { visibility: 'private' }),
      await uploaded(server, other, { visibility: 'public' }),
    ]
    verdicts['avatar'] = 'out of its mind'
    onTestFinished(() => void (verdicts['avatar'] = 'allow'))
    const change = async ({ image }: typeof hidden) =>
      (await server.admin.patch(`/v1/images/${image.id}`, { kind: 'avatar' })).status
    expect([await change(hidden), await change(shown)]).toEqual([200, 409])
  })
})

describe('a ban list', () => {
  function listFile(): { path: string; write: (text: string) => void } {
    const folder = mkdtempSync(join(tmpdir(), 'halftone-bans-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const path = join(folder, 'bans.txt')
    return { path, write: (text) => writeFileSync(path, text) }
  }

  test('refuses the very bytes, and what looks like them', async () => {
    const list = listFile()
    list.write(`sha256:${createHash('sha256').update(photo).digest('hex')} reject spam\n`)
    const server = await start({ HALFTONE_BAN_LIST_FILE: list.path })
    expect(await uploaded(server, photo)).toMatchObject({
      ...{ state: 'rejected', error: { code: 'moderation_rejected', detail: 'spam' } },
    })
    const first = await uploaded(server, other)
    expect(first.state).toBe('ready')
    const facts = (await server.admin.get(`/v1/images/${first.image.id}/metadata`)).json
    list.write(`phash:${String(facts['perceptualHash'])} quarantine looks like spam\n`)
    // Looked at again after two seconds.
    await new Promise((resolve) => setTimeout(resolve, 2100))
    const smaller = await sharp(other).resize(800).jpeg({ quality: 60 }).toBuffer()
    const upload = await uploaded(server, smaller, { visibility: 'public' })
    expect(upload).toMatchObject({ state: 'quarantined', error: { detail: 'looks like spam' } })
    await expectHidden(server, upload.image.id)
    const approved = await server.admin.patch(`/v1/images/${upload.image.id}`, { state: 'ready' })
    expect(await shown(server, approved)).toBe(200)
    expect((await uploaded(server, photo)).state).toBe('ready')
  })

  test('with a fault in it stops the start, which names the line', async () => {
    const list = listFile()
    list.write('# ours\nphash:xyz\n')
    const dataDir = dirname(list.path)
    const settings = { HALFTONE_SOURCE: dataDir, HALFTONE_DATA_DIR: dataDir, HALFTONE_RENDERERS: '1' }
    // The process ends by itself, renderers and all.
    await expect(spawnHalftone({ ...settings, HALFTONE_BAN_LIST_FILE: list.path })).rejects.toThrow(
      /ended before it listened:[^]*bans\.txt: line 2: expected/,
    )
  })
})

describe('a scanner of bytes', () => {
  test('gets the upload whole; a find rejects, silence quarantines, and a reviewer ends it', async () => {
    let reply = 'stream: OK'
    const clamd = await startClamdServer(() => reply)
    onTestFinished(() => clamd.close())
    const server = await start({ HALFTONE_CLAMAV: `127.0.0.1:${clamd.port}` })
    expect((await uploaded(server, photo)).state).toBe('ready')
    expect(clamd.streams[0]?.equals(photo)).toBe(true)
    reply = 'stream: Eicar-Signature FOUND'
    const virus = await uploaded(server, other)
    expect(virus).toMatchObject({ state: 'rejected', error: { code: 'moderation_rejected', detail: 'virus' } })
    await until(() => server.files('staging').size === 0, 'its bytes go')
    reply = 'never'
    const unsure = await uploaded(server, other, { visibility: 'public' })
    expect(unsure).toMatchObject({ state: 'quarantined', error: { detail: 'clamav_unreachable' } })
    await expectHidden(server, unsure.image.id)
    const approved = await server.admin.patch(`/v1/images/${unsure.image.id}`, { state: 'ready' })
    expect(await shown(server, approved)).toBe(200)
  })
})

test('of several moderators the strictest counts', async () => {
  const clamd = await startClamdServer(() => 'stream: OK')
  onTestFinished(() => clamd.close())
  const moderator = await startModerator(({ kind }) => saying({ verdict: kind === 'banner' ? 'reject' : 'quarantine' }))
  const server = await start({ HALFTONE_CLAMAV: `127.0.0.1:${clamd.port}`, HALFTONE_MODERATION_URL: moderator.url })
  expect((await uploaded(server, photo)).state).toBe('quarantined')
  expect((await uploaded(server, photo, { kind: 'banner' })).state).toBe('rejected')
})
