import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import sharp from 'sharp'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Principal } from '../../src/auth/authenticator.ts'
import { deleteUpload } from '../../src/uploads/change-image.ts'
import { confirmUpload, processKind } from '../../src/uploads/confirm-upload.ts'
import { signParts } from '../../src/uploads/presign-upload.ts'
import type { UploadTarget } from '../../src/uploads/targets/upload-target.ts'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { startOriginServer } from '../helpers/http-origin-server.ts'
import { owner } from '../helpers/store-records.ts'
import { startUploads, until, type UploadServer } from '../helpers/upload-api.ts'
import { addReady, addUpload, never, openStage, type Stage } from '../helpers/upload-stage.ts'

let photo: Buffer
let other: Buffer
let square: Buffer
let flat: Buffer
beforeAll(async () => {
  photo = await drawGradientJpeg(400, 300)
  other = await drawGradientJpeg(420, 300)
  square = await drawGradientJpeg(200, 200)
  flat = await drawGradientJpeg(300, 50)
})

async function start(settings: Record<string, string> = {}): Promise<UploadServer> {
  const server = await startUploads(settings)
  onTestFinished(() => server.stop())
  return server
}

type Asked = { readonly visibility: string; readonly sha256: string }
type Reply = 'allow' | 'reject' | 'unreachable'

/** Private pictures pass while the moderator is away; public ones wait. */
async function startLenient(first: (asked: Asked) => Reply | Promise<Reply>) {
  const asked: Asked[] = []
  let decide = first
  const moderator = await startOriginServer((request, response) => {
    void json(request).then(async (body) => {
      asked.push(body as Asked)
      const verdict = await decide(body as Asked)
      if (verdict === 'unreachable') return response.writeHead(503).end()
      return response.end(JSON.stringify({ verdict }))
    })
  })
  onTestFinished(() => moderator.close())
  const server = await start({
    ...{ HALFTONE_MODERATION_URL: moderator.url, HALFTONE_MODERATION_UNREACHABLE: 'allow-private' },
    HALFTONE_MODERATION_SECONDS: '5',
  })
  return { server, moderator: { asked, decide: (next: typeof first) => void (decide = next) } }
}

const sha256Of = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
const stateOf = async (server: UploadServer, id: string) => (await server.admin.get(`/v1/uploads/${id}`)).json['state']
const publish = (server: UploadServer, imageId: string) =>
  server.admin.patch(`/v1/images/${imageId}`, { visibility: 'public' })

describe('a picture that no moderator saw does not become public', () => {
  test('by a change while its upload is on its way', async () => {
    const { server } = await startLenient(() => 'unreachable')
    const { id, image } = await server.admin.begin(photo, { visibility: 'private' })
    expect((await publish(server, image.id)).json).toMatchObject({ visibility: 'public' })
    await server.admin.confirm(id)
    expect(await stateOf(server, id)).toBe('quarantined')
    expect((await server.halftone.get(`/u/${image.id}`)).status).toBe(404)
  })

  test('by a new version that was asked for while the image was private', async () => {
    const { server, moderator } = await startLenient(() => 'allow')
    const { image } = await server.admin.upload(photo, { visibility: 'private' })
    const next = await server.admin.begin(other, { image: image.id })
    expect((await publish(server, image.id)).status).toBe(200)
    moderator.decide(() => 'unreachable')
    await server.admin.confirm(next.id)
    expect(await stateOf(server, next.id)).toBe('quarantined')
    expect((await server.halftone.get(`/u/${image.id}/2/a.jpg`)).status).toBe(404)
    expect((await server.halftone.get(`/u/${image.id}/1/a.jpg`)).status).toBe(200)
  })

  test('by being an older version', async () => {
    const { server, moderator } = await startLenient(() => 'unreachable')
    const { image } = await server.admin.upload(photo, { visibility: 'private' })
    moderator.decide(() => 'allow')
    await server.admin.upload(other, { image: image.id })
    moderator.decide(({ sha256 }) => (sha256 === sha256Of(photo) ? 'reject' : 'allow'))
    expect((await publish(server, image.id)).json).toMatchObject({ code: 'moderation_rejected' })
    expect((await server.halftone.get(`/u/${image.id}/1/a.jpg`)).status).toBe(403)
    moderator.decide(() => 'allow')
    expect((await publish(server, image.id)).status).toBe(200)
  })

  test('by a change while the moderator looks at it', async () => {
    const held = Promise.withResolvers<Reply>()
    const { server, moderator } = await startLenient(() => held.promise)
    const { id, image } = await server.admin.begin(photo, { visibility: 'private' })
    await server.admin.confirm(id, 0)
    await until(() => moderator.asked.length === 1, 'the moderator is asked')
    expect((await publish(server, image.id)).status).toBe(200)
    held.resolve('unreachable')
    await until(async () => (await stateOf(server, id)) !== 'processing', 'the end')
    expect(await stateOf(server, id)).toBe('quarantined')
    expect(moderator.asked.map(({ visibility }) => visibility)).toEqual(['private', 'public'])
    expect(server.files('objects').size).toBe(1)
  })

  test('by coming while the others are judged', async () => {
    const held = Promise.withResolvers<Reply>()
    const { server, moderator } = await startLenient(() => 'unreachable')
    const { image } = await server.admin.upload(photo, { visibility: 'private' })
    moderator.decide(({ visibility, sha256 }) =>
      visibility === 'private' ? 'unreachable' : sha256 === sha256Of(photo) ? held.promise : 'reject',
    )
    const publishing = publish(server, image.id)
    await until(() => moderator.asked.length === 2, 'the moderator is asked')
    await server.admin.upload(other, { image: image.id })
    held.resolve('allow')
    expect((await publishing).json).toMatchObject({ code: 'moderation_rejected' })
    expect((await server.admin.get(`/v1/images/${image.id}`)).json).toMatchObject({ visibility: 'private' })
  })
})

describe('the rules of a kind', () => {
  async function startKinds(): Promise<UploadServer> {
    const folder = mkdtempSync(join(tmpdir(), 'halftone-kinds-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const path = join(folder, 'projects.json')
    const avatar = { aspect: { ratio: 1, tolerance: 0.1 }, types: ['image/jpeg'], maxMB: 0.1 }
    writeFileSync(path, JSON.stringify({ projects: { default: { kinds: { avatar } } } }))
    return start({ HALFTONE_PROJECTS_FILE: path })
  }

  test('hold for an upload whose image got the kind on the way', async () => {
    const server = await startKinds()
    const png = await sharp(square).png().toBuffer()
    for (const [bytes, type, state, code] of [
      [flat, 'image/jpeg', 'rejected', 'dimensions_not_allowed'],
      [png, 'image/png', 'rejected', 'type_not_allowed'],
      [square, 'image/jpeg', 'ready', undefined],
    ] as const) {
      const { id, image } = await server.admin.begin(bytes, { type })
      expect((await server.admin.patch(`/v1/images/${image.id}`, { kind: 'avatar' })).status).toBe(200)
      await server.admin.confirm(id)
      const upload = (await server.admin.get(`/v1/uploads/${id}`)).json as { state: string; error?: { code: string } }
      expect([upload.state, upload.error?.code]).toEqual([state, code])
    }
  })

  test('hold for every version that is there', async () => {
    const server = await startKinds()
    const become = async (imageId: string) => {
      const { status, json } = await server.admin.patch(`/v1/images/${imageId}`, { kind: 'avatar' })
      return status === 200 ? json['kind'] : json['code']
    }
    const png = await server.admin.upload(await sharp(square).png().toBuffer(), { type: 'image/png' })
    expect(await become(png.image.id)).toBe('type_not_allowed')
    const noise = {
      create: {
        width: 600,
        height: 600,
        channels: 3,
        background: '#888',
        noise: { type: 'gaussian', mean: 128, sigma: 60 },
      },
    } as const
    const large = await server.admin.upload(await sharp(noise).jpeg({ quality: 95 }).toBuffer())
    expect(await become(large.image.id)).toBe('too_large')
    const { image } = await server.admin.upload(flat)
    await server.admin.upload(square, { image: image.id })
    expect(await become(image.id)).toBe('dimensions_not_allowed')
    const good = await server.admin.upload(square)
    expect(await become(good.image.id)).toBe('avatar')
  })
})

describe('taking an upload back', () => {
  const mayUpload: Principal = { kind: 'key', ...owner, name: 'a key', scopes: new Set(['uploads:write']) }

  test('that became an image since the caller looked takes the image, from who may', async () => {
    const stage = await openStage()
    onTestFinished(() => stage.close())
    const { upload, image } = await addReady(stage)
    const asItWas = { ...upload, state: 'processing', version: undefined } as const
    const refused = deleteUpload(asItWas, mayUpload, stage.deps, never)
    await expect(refused).rejects.toMatchObject({ code: 'scope_required' })
    expect(await stage.stores.images.find(image.id)).toMatchObject({ state: 'ready' })
    const mayChange: Principal = { ...mayUpload, scopes: new Set(['uploads:write', 'images:write']) }
    await deleteUpload(asItWas, mayChange, stage.deps, never)
    expect(await stage.stores.images.find(image.id)).toMatchObject({ state: 'deleted' })
    expect((await stage.target.list('', undefined, never)).objects).toEqual([])
  })

  test('that comes in parts leaves none of them', async () => {
    const stage = await openStage()
    onTestFinished(() => stage.close())
    const upload = await addUpload(stage, { way: 'parts' })
    const { stagingKey: key, contentType } = upload
    const multipartId = await stage.target.startParts({ key, contentType }, never)
    await stage.stores.uploads.setMultipart(upload.id, multipartId)
    expect(await openParts(stage)).toHaveLength(1)
    await deleteUpload({ ...upload, multipartId }, mayUpload, stage.deps, never)
    expect(await openParts(stage)).toEqual([])
  })
})

test('parts are signed for minutes each, anew until the upload ends, and never beyond that', async () => {
  const stage = await openStage()
  onTestFinished(() => stage.close())
  const { partsSeconds, permissionSeconds } = stage.config
  const upload = await addUpload(stage, { way: 'parts', expiresAtMs: stage.deps.now() + partsSeconds * 1000 })
  const asked: number[] = []
  const target: UploadTarget = {
    ...stage.target,
    signParts(parts, signal) {
      asked.push(parts.expiresInSeconds)
      return stage.target.signParts(parts, signal)
    },
  }
  const sign = () => signParts({ ...upload, multipartId: 'one' }, [1], { ...stage.deps, target }, never)
  expect(await sign()).toMatchObject({ expiresInSeconds: permissionSeconds })
  // Hours after the first permissions have ended.
  stage.forward((partsSeconds - 60) * 1000)
  const late = await sign()
  expect(asked).toEqual([permissionSeconds, late.expiresInSeconds])
  expect(late.expiresInSeconds).toBeGreaterThan(50)
  expect(late.expiresInSeconds).toBeLessThanOrEqual(60)
  stage.forward(61_000)
  await expect(sign()).rejects.toMatchObject({ code: 'expired' })
})

const openParts = ({ target }: Stage) => target.listOpenParts(never)

test('a confirmed upload whose job was never put into the queue gets it by the next confirm', async () => {
  const stage = await openStage()
  onTestFinished(() => stage.close())
  const upload = await addUpload(stage)
  const confirmed = await stage.stores.uploads.move(upload.id, ['pending'], 'uploaded')
  const now = stage.deps.now()
  expect(await stage.stores.jobs.take([processKind], now, now + 1000)).toBeUndefined()
  await confirmUpload(confirmed ?? upload, stage.deps, never)
  expect(await stage.stores.jobs.take([processKind], stage.deps.now() + 1, now + 9000)).toMatchObject({
    payload: JSON.stringify({ uploadId: upload.id }),
  })
})
