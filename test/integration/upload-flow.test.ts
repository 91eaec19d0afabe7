import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SignedRequest } from '../../src/uploads/targets/upload-target.ts'
import { send, sendForm } from '../contract/upload-target.ts'
import { ask } from '../helpers/ask.ts'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { startOriginServer, type OriginServer } from '../helpers/http-origin-server.ts'
import {
  jwtFor,
  pathOf,
  startUploads,
  targetOf,
  until,
  type Finished,
  type UploadServer,
} from '../helpers/upload-api.ts'
import { freePort } from '../helpers/free-port.ts'

const megabyte = 1_000_000
let server: UploadServer
let origin: OriginServer
let photo: Buffer

beforeAll(async () => {
  photo = await drawGradientJpeg(640, 480)
  server = await startUploads({
    // Known beforehand, so that the server knows itself by it.
    PORT: String(await freePort()),
    HALFTONE_ALLOW_ADDRESSES: '127.0.0.0/8',
    HALFTONE_UPLOAD_PARTS_FROM_MB: '5.25',
    HALFTONE_UPLOAD_PART_MB: '5.25',
    HALFTONE_UPLOAD_MAX_MB: '8',
  })
  origin = await startOriginServer((_request, response) => response.writeHead(404).end())
})
afterAll(async () => {
  await server?.stop()
  await origin?.close()
})

describe('presign, PUT, confirm', () => {
  test('ends with everything that a page needs', async () => {
    const sha256 = createHash('sha256').update(photo).digest('hex')
    const said = { visibility: 'public', subject: 'post 7', metadata: { alt: 'A lake' }, sha256 }
    const answer = await server.admin.post('/v1/uploads', {
      ...{ filename: 'My Lake.JPG', type: 'image/jpeg', size: photo.length },
      ...said,
    })
    expect(answer.status).toBe(201)
    expect(answer.headers).toMatchObject({
      location: `/v1/uploads/${String(answer.json['id'])}`,
      'cache-control': 'no-store',
    })
    const presigned = answer.json as unknown as Awaited<ReturnType<typeof server.admin.presign>>
    expect(presigned).toMatchObject({
      state: 'pending',
      size: photo.length,
      type: 'image/jpeg',
      upload: { method: 'PUT' },
    })
    expect(Date.parse(presigned.expiresAt) - Date.now()).toBeGreaterThan(600_000)

    expect(await send(presigned.upload, photo)).toMatchObject({ status: 200 })
    const confirmed = await server.admin.confirm(presigned.id)
    expect(confirmed.status).toBe(200)
    expect(confirmed.headers['preference-applied']).toBe('wait=20')
    const { image } = confirmed.json as unknown as Finished
    expect(image).toMatchObject({
      ...{ id: presigned.image.id, state: 'ready', version: 1, visibility: 'public', filename: 'My Lake.JPG' },
      ...{ subject: 'post 7', metadata: { alt: 'A lake' }, format: 'jpeg', width: 640, height: 480, frames: 1 },
      hasAlpha: false,
    })
    expect(image.dominantColor).toMatch(/^#[0-9a-f]{6}$/)
    expect(Buffer.from(image.thumbhash, 'base64').length).toBeGreaterThan(4)
    expect(image.url).toBe(`${server.origin}/u/${image.id}/1/my-lake.jpg?auto=format`)
    expect(image.html).toMatch(
      /^<img src="http[^"]+" srcset="[^"]+" sizes="[^"]+" width="640" height="480" loading="lazy"/,
    )
    for (const entry of image.srcset.split(', ')) {
      const [url = '', width] = entry.split(' ')
      const shown = await ask(server.halftone, targetOf(url), { accept: 'image/webp' })
      expect(shown.headers.get('content-type')).toBe('image/webp')
      expect(`${(await sharp(shown.body).metadata()).width}w`).toBe(width)
    }
    await until(() => !server.files('staging').has(presigned.id), 'its staged bytes go')
  })

  test('without waiting it answers 202, and GET waits instead', async () => {
    const { id } = await server.admin.begin(photo)
    const confirmed = await server.admin.confirm(id, 0)
    expect(confirmed.status).toBe(202)
    expect(['uploaded', 'processing']).toContain(confirmed.json['state'])
    expect(confirmed.headers['preference-applied']).toBeUndefined()
    const settled = await server.admin.get(`/v1/uploads/${id}`, { Prefer: 'wait=20' })
    expect(settled.json).toMatchObject({ state: 'ready', image: { state: 'ready', version: 1 } })
    expect((await server.admin.confirm(id, 0)).status).toBe(200)
  })

  test('two confirms at once are one job and one version', async () => {
    const { id, image } = await server.admin.begin(photo)
    const both = await Promise.all([server.admin.confirm(id), server.admin.confirm(id), server.admin.confirm(id, 0)])
    expect(both.map(({ status }) => status)).toEqual([200, 200, 202])
    const events = server.rows<{ to_state: string }>(
      'select to_state from upload_events where upload_id = ? order by number',
      id,
    )
    expect(events.map((event) => event.to_state)).toEqual(['pending', 'uploaded', 'processing', 'ready'])
    expect(server.rows('select version from versions where image_id = ?', image.id)).toEqual([{ version: 1 }])
  })

  test('events tell the states in their order, and end', async () => {
    const { id, upload } = await server.admin.presign(photo)
    const following = server.admin.get(`/v1/uploads/${id}/events`)
    // The stream is open once somebody waits for the upload; a moment is enough, and less would only skip a state.
    await new Promise((resolve) => setTimeout(resolve, 100))
    await send(upload, photo)
    await server.admin.confirm(id, 0)
    const told = await following
    expect(told.headers['content-type']).toMatch(/^text\/event-stream/)
    const states = [...told.body.toString().matchAll(/^event: (\w+)$/gm)].map((match) => String(match[1]))
    const order = ['pending', 'uploaded', 'processing', 'ready']
    expect(states).toEqual(order.filter((state) => states.includes(state)))
    expect([states[0], states.at(-1)]).toEqual(['pending', 'ready'])
    const last = /^data: (.*)$/m.exec(told.body.toString().split('event: ready')[1] ?? '')?.[1] ?? '{}'
    expect(JSON.parse(last)).toMatchObject({ id, state: 'ready', image: { width: 640 } })
  })

  test('takes back what is not ready yet, with its bytes', async () => {
    const { id } = await server.admin.begin(photo)
    expect(server.files('staging').has(id)).toBe(true)
    expect((await server.admin.delete(`/v1/uploads/${id}`)).status).toBe(204)
    expect(server.files('staging').has(id)).toBe(false)
    expect((await server.admin.get(`/v1/uploads/${id}`)).json['state']).toBe('deleted')
    expect((await server.admin.confirm(id)).status).toBe(404)
  })
})

describe('the other ways in', () => {
  test('a form, where the size is not known', async () => {
    const { id, upload } = await server.admin.presign(photo, { size: undefined })
    expect(upload).toMatchObject({ method: 'POST', headers: {} })
    expect((await sendForm(upload, photo)).status).toBe(204)
    expect((await server.admin.confirm(id)).json).toMatchObject({ state: 'ready', size: photo.length })
  })

  test('signed parts, for what is large', async () => {
    const large = await noisePng(6 * megabyte)
    const { id, upload } = await server.admin.presign(large, { type: 'image/png', filename: 'noise.png' })
    const url = `${server.origin}/v1/uploads/${id}/parts`
    expect(upload).toEqual({ method: 'PARTS', partBytes: 5_250_000, parts: 2, url })
    const parts = async (...numbers: number[]) => {
      const { json } = await server.admin.post(`/v1/uploads/${id}/parts`, { numbers })
      return json['parts'] as { number: number; method: 'PUT'; url: string; headers: Record<string, string> }[]
    }
    const [second] = await parts(2)
    const cut = (number: number) => large.subarray((number - 1) * 5_250_000, number * 5_250_000)
    expect(await send(second!, cut(2))).toMatchObject({ status: 200 })
    expect(await server.admin.confirm(id)).toMatchObject({ status: 409, json: { code: 'not_uploaded' } })
    const [first] = await parts(1)
    expect(await send(first!, cut(1))).toMatchObject({ status: 200 })
    expect((await server.admin.confirm(id)).json).toMatchObject({ state: 'ready', size: large.length })
    expect((await server.admin.post(`/v1/uploads/${id}/parts`, { numbers: [1] })).json).toMatchObject({
      code: 'wrong_state',
    })
  })

  test('parts have hours in all, their quota held back meanwhile, and minutes each', async () => {
    const user = await server.user('slow')
    const small = await user.presign(photo)
    const large = await user.presign(photo, { size: 6 * megabyte })
    const secondsTo = (iso: string) => (Date.parse(iso) - Date.now()) / 1000
    expect(secondsTo(small.expiresAt)).toBeLessThanOrEqual(900)
    expect(secondsTo(large.expiresAt)).toBeGreaterThan(86_000)
    const signed = await user.post(`/v1/uploads/${large.id}/parts`, { numbers: [1] })
    expect(signed.json).toMatchObject({ expiresIn: 900, parts: [{ number: 1 }] })
    // The time of any other upload is up; the parts are asked for anew.
    const [part] = signed.json['parts'] as SignedRequest[]
    const until = Number(new URL(part!.url).searchParams.get('expires'))
    expect(until - Date.now() / 1000).toBeLessThanOrEqual(901)
    await server.sql('update uploads set created_at_ms = created_at_ms - 7200000 where id = ?', large.id)
    expect((await user.post(`/v1/uploads/${large.id}/parts`, { numbers: [1] })).status).toBe(200)
    expect((await user.get('/v1/usage')).json).toMatchObject({ reservedBytes: 6 * megabyte + photo.length })
    await server.sql('update uploads set expires_at_ms = ? where id = ?', Date.now() - 1_000_000, large.id)
    expect((await user.post(`/v1/uploads/${large.id}/parts`, { numbers: [1] })).json).toMatchObject({ code: 'expired' })
  })

  test('parts keep the size they were cut to, whatever the setting says by then', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'halftone-parts-'))
    const begin = (partMB: string) =>
      startUploads({
        HALFTONE_DATA_DIR: folder,
        HALFTONE_UPLOAD_PARTS_FROM_MB: '5.5',
        HALFTONE_UPLOAD_PART_MB: partMB,
      })
    const large = await noisePng(6 * megabyte)
    let other = await begin('5.25')
    try {
      const body = { filename: 'noise.png', type: 'image/png', size: large.length }
      const presign = () => other.admin.post('/v1/uploads', body, { 'Idempotency-Key': 'cut' })
      const { json: begun } = await presign()
      await other.stop()
      other = await begin('5.5')
      expect((await presign()).json).toMatchObject({ id: begun['id'], upload: { partBytes: 5_250_000, parts: 2 } })
      const signed = await other.admin.post(`/v1/uploads/${String(begun['id'])}/parts`, { numbers: [1, 2] })
      for (const part of signed.json['parts'] as (SignedRequest & { number: number })[]) {
        const bytes = large.subarray((part.number - 1) * 5_250_000, part.number * 5_250_000)
        expect(await send(part, bytes)).toMatchObject({ status: 200 })
      }
      expect((await other.admin.confirm(String(begun['id']))).json).toMatchObject({ state: 'ready' })
    } finally {
      await other.stop()
      rmSync(folder, { recursive: true, force: true })
    }
  })

  test.each([[[]], [[3]], [[0]], ['1']])('no part has the numbers %j', async (numbers) => {
    const { id } = await server.admin.presign(photo, { size: 6 * megabyte })
    const answer = await server.admin.post(`/v1/uploads/${id}/parts`, { numbers })
    expect(answer).toMatchObject({ status: 400, json: { code: 'bad_request' } })
    expect(answer.json['detail']).toMatch(/numbers/)
  })

  test('multipart/form-data, with what is said before the file', async () => {
    const fields = { visibility: 'public', subject: 'me', 'metadata[alt]': 'A lake', 'metadata[by]': 'Ann' }
    const answer = await server.admin.form(fields, photo, { name: 'C:\\Pictures\\lake.jpg' })
    expect(answer).toMatchObject({ status: 200, json: { state: 'ready', size: photo.length } })
    expect(answer.headers['location']).toBe(`/v1/uploads/${String(answer.json['id'])}`)
    expect(answer.json['image']).toMatchObject({
      ...{ visibility: 'public', subject: 'me', metadata: { alt: 'A lake', by: 'Ann' }, width: 640 },
      filename: 'lake.jpg',
    })
    const json = await server.admin.form({ metadata: '{"alt":"A sea"}' }, photo)
    expect(json.json['image']).toMatchObject({ metadata: { alt: 'A sea' }, visibility: 'private' })
    expect(await server.admin.form({}, photo, { wait: 0 })).toMatchObject({ status: 202 })
  })

  test('multipart/form-data is cut off at its limit while it streams', async () => {
    const user = await server.user('sends-too-much')
    const answer = await user.form({}, Buffer.concat([photo, Buffer.alloc(9 * megabyte)]))
    expect(answer).toMatchObject({ status: 413, json: { code: 'too_large' } })
    expect((await user.get('/v1/usage')).json).toMatchObject({ openUploads: 0, reservedBytes: 0, storedBytes: 0 })
    expect(server.rows<Staged>("select staging_key from uploads where owner = 'sends-too-much'").map(isStaged)).toEqual(
      [false],
    )
  })

  test('multipart/form-data from a client that leaves in the middle comes to nothing', async () => {
    const user = await server.user('leaves')
    const openUploads = async () => (await user.get('/v1/usage')).json['openUploads']
    const { port } = new URL(server.origin)
    const socket = createConnection(Number(port), '127.0.0.1')
    const head = ['POST /v1/images HTTP/1.1', 'Host: x', `Authorization: Bearer ${await jwtFor('leaves')}`]
    const type = 'Content-Type: multipart/form-data; boundary=b'
    const part =
      '--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    socket.write([...head, type, 'Content-Length: 1000000', '', part].join('\r\n'))
    socket.write(photo)
    try {
      await until(async () => (await openUploads()) === 1, 'the upload begins')
    } finally {
      socket.destroy()
    }
    await until(async () => (await openUploads()) === 0, 'the upload ends')
    const rows = server.rows<Staged>("select state, staging_key from uploads where owner = 'leaves'")
    expect(rows).toMatchObject([{ state: 'rejected' }])
    expect(rows.map(isStaged)).toEqual([false])
  })

  test('a form without a file, with an unknown field, or with fields behind the file', async () => {
    const user = await server.user('writes-forms')
    const said = '--b\r\nContent-Disposition: form-data; name="visibility"\r\n\r\npublic\r\n'
    const file =
      '--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    const post = (...parts: readonly (string | Buffer)[]) =>
      fetch(`${server.origin}/v1/images`, {
        method: 'POST',
        headers: { 'Content-Type': 'multipart/form-data; boundary=b', Authorization: user.authorization },
        body: new Uint8Array(Buffer.concat([...parts, '\r\n--b--\r\n'].map((part) => Buffer.from(part)))),
      }).then(async (response) => ({ status: response.status, json: (await response.json()) as object }))
    expect(await post(said)).toMatchObject({ status: 400, json: { code: 'bad_request' } })
    expect(await post(said, file, photo, '\r\n', said)).toMatchObject({ status: 400, json: { code: 'bad_request' } })
    const late = await post(file, photo, '\r\n', said)
    expect(late).toMatchObject({ status: 400, json: { code: 'bad_request' } })
    expect(JSON.stringify(late.json)).toMatch(/before the file.*visibility/)
    expect((await post(said, file, photo)).status).toBe(202)
    const unknown = await user.form({ visible: 'yes' }, photo)
    expect(unknown).toMatchObject({ status: 400, json: { code: 'bad_request' } })
    expect(unknown.json['detail']).toMatch(/visible/)
    const states = server.rows<Staged & { state: string }>(
      "select state, staging_key from uploads where owner = 'writes-forms' and state = 'rejected'",
    )
    expect(states.map(isStaged)).toEqual([false, false])
    await until(async () => (await user.get('/v1/usage')).json['openUploads'] === 0, 'nothing is held back')
  })

  test('a URL, from which the server gets the picture itself', async () => {
    origin.answer((_request, response) => response.writeHead(200, { 'content-type': 'text/plain' }).end(photo))
    const asked = { url: `${origin.url}/holiday/sea.jpg?x=1`, visibility: 'public', metadata: { alt: 'A sea' } }
    const answer = await server.admin.post('/v1/images', asked, { Prefer: 'wait=20' })
    expect(answer).toMatchObject({ status: 200, json: { state: 'ready', type: 'image/jpeg', filename: 'sea.jpg' } })
    expect(answer.json['image']).toMatchObject({ width: 640, metadata: { alt: 'A sea' } })
  })

  test.each([
    ['nothing there', () => `${origin.url}/a.jpg`, 404, 404, 'not_found'],
    ['no picture', () => `${origin.url}/a.jpg`, 200, 422, 'not_an_image'],
    ['a refusal', () => `${origin.url}/a.jpg`, 401, 403, 'source_denied'],
    ['this very server', () => `${server.origin}/v1/usage`, 200, 400, 'source_loop'],
    ['a port for mail', () => 'http://127.0.0.1:25/a.jpg', 200, 403, 'source_url_refused'],
    ['a file', () => 'file:///etc/passwd', 200, 403, 'source_url_refused'],
    ['an address of its own network', () => 'http://169.254.169.254/a.jpg', 200, 403, 'source_address_refused'],
    ['no URL', () => 'lake.jpg', 200, 400, 'bad_request'],
  ])('a URL of %s is refused', async (_what, url, answered, status, code) => {
    origin.answer((_request, response) => response.writeHead(answered).end('<html>'))
    const before = await usage()
    expect(await server.admin.post('/v1/images', { url: url() })).toMatchObject({ status, json: { code } })
    expect(await usage()).toEqual(before)
  })

  test('a URL with more bytes than allowed', async () => {
    origin.answer((_request, response) => response.writeHead(200).end(Buffer.alloc(9 * megabyte)))
    const answer = await server.admin.post('/v1/images', { url: `${origin.url}/a.jpg` })
    expect(answer).toMatchObject({ status: 413, json: { code: 'source_too_large' } })
  })
})

describe('a new version', () => {
  test('leaves the old one where it is, and is the newest at once', async () => {
    const { image } = await server.admin.upload(photo, { visibility: 'public', kind: 'avatar', subject: 'ann' })
    const newest = `/u/${image.id}?w=40&fm=png`
    expect((await ask(server.halftone, newest)).status).toBe(200)
    const other = await drawGradientJpeg(200, 300)
    const second = await server.admin.upload(other, { image: image.id, filename: 'other.jpg' })
    expect(second.image).toMatchObject({
      ...{ id: image.id, version: 2, width: 200, filename: 'other.jpg' },
      ...{ visibility: 'public', kind: 'avatar', subject: 'ann' },
    })
    // Moderation judges it as what it will be.
    expect(server.rows('select visibility, kind from uploads where id = ?', second.id)).toEqual([
      { visibility: 'public', kind: 'avatar' },
    ])
    expect(await sizeAt(newest)).toEqual([40, 60])
    expect(await sizeAt(`${pathOf(image.url)}?w=40&fm=png`)).toEqual([40, 30])
    expect(await sizeAt(`${pathOf(second.image.url)}?w=40&fm=png`)).toEqual([40, 60])
    expect((await server.admin.get(`/v1/images/${image.id}`)).json).toMatchObject({ version: 2, width: 200 })
    // The upload of one version is no handle on the others.
    expect((await server.admin.delete(`/v1/uploads/${second.id}`)).json).toMatchObject({ code: 'wrong_state' })
    expect(await sizeAt(newest)).toEqual([40, 60])
  })

  test('keeps to the rules of its image', async () => {
    const { image } = await server.admin.upload(photo, { kind: 'avatar' })
    const small = await server.admin.begin(await drawGradientJpeg(60, 60), { image: image.id })
    expect(await server.admin.confirm(small.id)).toMatchObject({
      status: 422,
      json: { code: 'dimensions_not_allowed' },
    })
    expect((await server.admin.get(`/v1/images/${image.id}`)).json).toMatchObject({ state: 'ready', version: 1 })
    const said = { filename: 'a.jpg', type: 'image/jpeg', size: 10, image: image.id, visibility: 'public' }
    expect(await server.admin.post('/v1/uploads', said)).toMatchObject({ status: 400, json: { code: 'bad_request' } })
  })
})

type Staged = { readonly staging_key: string }

function isStaged({ staging_key: key }: Staged): boolean {
  return server.files('staging').has(key.replace('staging/', ''))
}

async function sizeAt(target: string): Promise<unknown[]> {
  const { width, height } = await sharp((await ask(server.halftone, target)).body).metadata()
  return [width, height]
}

async function usage(): Promise<Readonly<Record<string, unknown>>> {
  return (await server.admin.get('/v1/usage')).json
}

/** Noise does not compress, and is a picture all the same. */
function noisePng(atLeastBytes: number): Promise<Buffer> {
  const side = Math.ceil(Math.sqrt(atLeastBytes / 3))
  return sharp({
    create: { width: side, height: side, channels: 3, background: 'black', noise: { type: 'gaussian', sigma: 60 } },
  })
    .png({ compressionLevel: 0 })
    .toBuffer()
}
