import { createConnection } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { send } from '../contract/upload-target.ts'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { startOriginServer } from '../helpers/http-origin-server.ts'
import { startUploads, until, type Answer, type Api, type Presigned, type UploadServer } from '../helpers/upload-api.ts'

let server: UploadServer
let photo: Buffer

beforeAll(async () => {
  photo = await drawGradientJpeg(300, 200)
  server = await startUploads({
    HALFTONE_API_ORIGINS: 'https://app.example',
    HALFTONE_ALLOW_ADDRESSES: '127.0.0.0/8',
  })
})
afterAll(() => server?.stop())

describe('Idempotency-Key', () => {
  const intent = { filename: 'a.jpg', type: 'image/jpeg', size: 1000, metadata: { alt: 'x' } }
  const begin = (api: Api, key: string, change: object = {}) =>
    api.post('/v1/uploads', { ...intent, ...change }, { 'Idempotency-Key': key })

  test('the same body again is the same upload, with a permission while the bytes are to come', async () => {
    const user = await server.user('idem-1')
    const first = await begin(user, 'one', { size: photo.length })
    const again = await begin(user, 'one', { size: photo.length })
    expect([first.status, again.status]).toEqual([201, 201])
    expect(again.json['id']).toBe(first.json['id'])
    expect((await user.get('/v1/usage')).json).toMatchObject({ openUploads: 1, reservedBytes: photo.length })
    const { id, upload } = again.json as unknown as Presigned
    expect((await send(upload, photo)).status).toBe(200)
    await user.confirm(id)
    const late = await begin(user, 'one', { size: photo.length })
    expect(late.json).toMatchObject({ id, state: 'ready', image: { width: 300 } })
    expect(late.json['upload']).toBeUndefined()
  })

  test('another body is refused', async () => {
    const user = await server.user('idem-2')
    await begin(user, 'one')
    for (const change of [
      { size: 1001 },
      { filename: 'b.jpg' },
      { metadata: { alt: 'y' } },
      { visibility: 'public' },
    ]) {
      const answer = await begin(user, 'one', change)
      expect(answer).toMatchObject({ status: 422, json: { code: 'idempotency_mismatch' } })
    }
  })

  test('twins at once are one upload', async () => {
    const user = await server.user('idem-3')
    const answers = await Promise.all(Array.from({ length: 8 }, () => begin(user, 'twin')))
    expect(new Set(answers.map(({ status, json }) => `${status} ${String(json['id'])}`)).size).toBe(1)
    expect((await user.get('/v1/usage')).json).toMatchObject({ openUploads: 1 })
  })

  test('a form sent again is the same image; with other words or another file it is refused', async () => {
    const user = await server.user('idem-form')
    const said = { subject: 'me', 'metadata[alt]': 'x' }
    const first = await user.form(said, photo, { key: 'form' })
    expect(first).toMatchObject({ status: 200, json: { state: 'ready' } })
    const again = await user.form(said, photo, { key: 'form' })
    // Signed URLs are of their own second.
    expect([again.status, again.json['id']]).toEqual([200, first.json['id']])
    expect(again.headers['location']).toBe(first.headers['location'])
    const other = await drawGradientJpeg(300, 201)
    for (const [fields, file, told] of [
      [{ ...said, subject: 'you' }, photo, {}],
      [said, other, {}],
      [said, photo.subarray(0, -1), {}],
      [said, photo, { name: 'b.jpg' }],
    ] as const) {
      const answer = await user.form(fields, file, { key: 'form', ...told })
      expect(answer).toMatchObject({ status: 422, json: { code: 'idempotency_mismatch' } })
    }
    expect((await user.get('/v1/usage')).json).toMatchObject({ images: 1, openUploads: 0, reservedBytes: 0 })
    const key = { 'Idempotency-Key': 'form' }
    expect((await user.post('/v1/uploads', intent, key)).json['code']).toBe('idempotency_mismatch')
  })

  test('a file that a client calls some bytes is what its name says', async () => {
    const user = await server.user('untyped')
    const untyped = { type: 'application/octet-stream', name: 'photo.JPG' }
    expect(await user.form({}, photo, untyped)).toMatchObject({ status: 200, json: { state: 'ready' } })
    expect(await user.form({}, photo, { ...untyped, name: 'photo' })).toMatchObject({ status: 415 })
  })

  test('what was wrong with a form is so again, and what came of it is gone when it was deleted', async () => {
    const user = await server.user('idem-wrong')
    const text = Buffer.from('no picture '.repeat(50))
    for (let round = 0; round < 2; round += 1) {
      expect(await user.form({}, text, { key: 'text' })).toMatchObject({ status: 422, json: { code: 'type_mismatch' } })
      const declared = await user.form({ sha256: '1'.repeat(64) }, photo, { key: 'sum' })
      expect(declared).toMatchObject({ status: 422, json: { code: 'checksum_mismatch' } })
    }
    const { json } = await user.form({}, photo, { key: 'deleted' })
    await user.delete(`/v1/images/${(json['image'] as { id: string }).id}`)
    expect((await user.form({}, photo, { key: 'deleted' })).status).toBe(404)
    expect((await user.form({}, photo, { key: 'a b' })).json['code']).toBe('bad_request')
  })

  test('while a form is on its way its twin has to wait; when it breaks off the next one is taken', async () => {
    const user = await server.user('idem-flight')
    const openUploads = async () => (await user.get('/v1/usage')).json['openUploads']
    const socket = createConnection(Number(new URL(server.origin).port), '127.0.0.1')
    const head = [
      'POST /v1/images HTTP/1.1',
      'Host: x',
      `Authorization: ${user.authorization}`,
      'Idempotency-Key: slow',
    ]
    const type = 'Content-Type: multipart/form-data; boundary=b'
    const part =
      '--b\r\nContent-Disposition: form-data; name="file"; filename="photo.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    socket.write([...head, type, 'Content-Length: 1000000', '', part].join('\r\n'))
    socket.write(photo)
    try {
      await until(async () => (await openUploads()) === 1, 'the upload begins')
      const twin = await user.form({}, photo, { key: 'slow' })
      expect(twin).toMatchObject({ status: 409, json: { code: 'in_progress' } })
      expect(twin.headers['retry-after']).toMatch(/^\d+$/)
    } finally {
      socket.destroy()
    }
    await until(async () => (await openUploads()) === 0, 'the upload ends')
    expect(await user.form({}, photo, { key: 'slow' })).toMatchObject({ status: 200, json: { state: 'ready' } })
  })

  test('an import sent again fetches nothing', async () => {
    const user = await server.user('idem-import')
    let release = () => {}
    const held = new Promise<void>((resolve) => (release = resolve))
    const origin = await startOriginServer((_request, response) => void held.then(() => response.end(photo)))
    try {
      const fetchOne = (url: string) =>
        user.post('/v1/images', { url: `${origin.url}${url}` }, { 'Idempotency-Key': 'import', Prefer: 'wait=20' })
      const first = fetchOne('/a.jpg')
      await until(() => origin.requests.length === 1, 'it is asked for')
      expect(await fetchOne('/a.jpg')).toMatchObject({ status: 409, json: { code: 'in_progress' } })
      release()
      const { json } = await first
      expect(json).toMatchObject({ state: 'ready' })
      expect(await fetchOne('/a.jpg')).toMatchObject({ status: 200, json: { id: json['id'], state: 'ready' } })
      expect((await fetchOne('/b.jpg')).json).toMatchObject({ code: 'idempotency_mismatch' })
      expect(origin.requests).toHaveLength(1)
    } finally {
      release()
      await origin.close()
    }
  })

  test('an import whose source was out is tried anew', async () => {
    const user = await server.user('idem-outage')
    let status = 500
    const origin = await startOriginServer((_request, response) => response.writeHead(status).end(photo))
    try {
      const fetchOne = () =>
        user.post('/v1/images', { url: `${origin.url}/a.jpg` }, { 'Idempotency-Key': 'out', Prefer: 'wait=20' })
      expect((await fetchOne()).status).toBeGreaterThanOrEqual(500)
      status = 200
      expect((await fetchOne()).json).toMatchObject({ state: 'ready' })
    } finally {
      await origin.close()
    }
  })

  test('is of one caller alone', async () => {
    const callers = [await server.user('idem-4'), await server.user('idem-5'), server.admin]
    const answers = await Promise.all(callers.map((caller) => begin(caller, 'shared')))
    expect(new Set(answers.map(({ json }) => json['id'])).size).toBe(3)
    expect((await begin(callers[0]!, 'other')).json['id']).not.toBe(answers[0]?.json['id'])
  })
})

describe('images', () => {
  test('are listed newest first, page by page, while others come in', async () => {
    const user = await server.user('lists')
    const ids: string[] = []
    for (const subject of ['a', 'b', 'a', 'b', 'a'])
      ids.unshift((await user.upload(photo, { subject, kind: 'avatar' })).image.id)
    const read: string[] = []
    let cursor = ''
    for (let pages = 0; pages < 3; pages += 1) {
      const { json } = await user.get(`/v1/images?limit=2${cursor && `&cursor=${cursor}`}`)
      read.push(...idsOf(json['images']))
      if (pages === 0) await user.upload(photo, { subject: 'late' })
      cursor = String(json['cursor'])
    }
    expect(read).toEqual(ids)
    expect(cursor).toBe('null')
    const listed = async (query: string) => idsOf((await user.get(`/v1/images?${query}`)).json['images'])
    expect(await listed('subject=b')).toEqual([ids[1], ids[3]])
    expect(await listed('kind=banner')).toEqual([])
    expect(await listed('state=pending')).toEqual([])
    const { image } = await user.presign(photo)
    expect(await listed('state=pending')).toEqual([image.id])
  })

  test.each(['limit=0', 'limit=101', 'limit=two', 'state=gone', 'cursor=x', 'kind=a&kind=b', 'foo=1'])(
    'no list of %s',
    async (query) => {
      const answer = await server.admin.get(`/v1/images?${query}`)
      expect(answer).toMatchObject({ status: 400, json: { code: 'bad_request' } })
      expect(answer.json['detail']).toContain(`"${query.split('=')[0]}"`)
    },
  )

  test('are described, and described anew', async () => {
    const user = await server.user('describes')
    const { image } = await user.upload(photo, { filename: 'lake.jpg', metadata: { alt: 'A lake' } })
    const told = (await user.get(`/v1/images/${image.id}`)).json
    expect(told).toMatchObject({ id: image.id, filename: 'lake.jpg', metadata: { alt: 'A lake' }, width: 300 })
    const change = { filename: 'see.jpg', subject: 'trip', kind: 'avatar', metadata: { alt: 'Ein See' } }
    const changed = await user.patch(`/v1/images/${image.id}`, change)
    expect(changed).toMatchObject({ status: 200, json: { ...change, version: 1 } })
    expect(changed.json['url']).toContain('/see.jpg?')
    expect((await user.get(`/v1/images/${image.id}`)).json).toMatchObject(change)
    const kinds = await user.patch(`/v1/images/${image.id}`, { kind: 'banner', subject: 'lost' })
    expect(kinds).toMatchObject({ status: 422, json: { code: 'dimensions_not_allowed' } })
    expect((await user.get(`/v1/images/${image.id}`)).json).toMatchObject(change)
  })

  test.each([
    {},
    { visibility: 'secret' },
    { kind: 'hero' },
    { owner: 'me' },
    { filename: 'a/b' },
    { state: 'deleted' },
  ])('are not changed by %j', async (change) => {
    const { image } = await server.admin.upload(photo)
    const answer = await server.admin.patch(`/v1/images/${image.id}`, change)
    expect(answer).toMatchObject({ status: 400, json: { code: 'bad_request' } })
  })

  test('are reviewed only while they are quarantined', async () => {
    const { image } = await server.admin.upload(photo)
    const answer = await server.admin.patch(`/v1/images/${image.id}`, { state: 'rejected' })
    expect(answer).toMatchObject({ status: 409, json: { code: 'wrong_state' } })
  })

  test('have metadata, once they have been looked at', async () => {
    const user = await server.user('metadata')
    const { image } = await user.upload(photo, { metadata: { alt: 'A lake' } })
    const { json } = await user.get(`/v1/images/${image.id}/metadata`)
    expect(json).toMatchObject({
      id: image.id,
      version: 1,
      format: 'jpeg',
      width: 300,
      height: 200,
      metadata: { alt: 'A lake' },
    })
    expect(json['sha256']).toMatch(/^[0-9a-f]{64}$/)
    const pending = await user.presign(photo)
    const early = await user.get(`/v1/images/${pending.image.id}/metadata`)
    expect(early).toMatchObject({ status: 409, json: { code: 'wrong_state' } })
  })
})

test('usage: held back at first, settled by what is stored, released in the end', async () => {
  const user = await server.user('counts')
  const usage = async () => {
    const { project: _project, owner: _owner, ...counted } = (await user.get('/v1/usage')).json
    return counted
  }
  const presigned = await user.begin(photo)
  expect(await usage()).toEqual({ storedBytes: 0, reservedBytes: photo.length, objects: 0, images: 0, openUploads: 1 })
  await user.confirm(presigned.id)
  const { byteLength } = (await user.get(`/v1/images/${presigned.image.id}`)).json
  expect(await usage()).toEqual({ storedBytes: byteLength, reservedBytes: 0, objects: 1, images: 1, openUploads: 0 })
  await user.delete(`/v1/images/${presigned.image.id}`)
  expect(await usage()).toEqual({ storedBytes: 0, reservedBytes: 0, objects: 0, images: 0, openUploads: 0 })
})

test('nothing of the API may be kept by caches, and only listed origins may read it', async () => {
  const ofPage = (origin: string) => server.admin.get('/v1/usage', { Origin: origin })
  const listed = await ofPage('https://app.example')
  expect(listed.headers).toMatchObject({
    'cache-control': 'no-store',
    'access-control-allow-origin': 'https://app.example',
  })
  expect((await ofPage('https://evil.example')).headers['access-control-allow-origin']).toBeUndefined()
})

test('routes that are not there', async () => {
  const missing: Answer[] = [
    await server.admin.get('/v1/'),
    await server.admin.post('/v1/images/x/y', {}),
    await server.admin.get(`/v1/images/${'a'.repeat(500)}`),
    await server.admin.get('/v1/images/%2e%2e%2fusage'),
  ]
  for (const answer of missing) expect(answer).toMatchObject({ status: 404, json: { code: 'not_found' } })
  for (const answer of missing) expect(answer.json['title']).not.toMatch(/image/)
})

test.each([
  ['PUT', '/v1/images', 'GET, HEAD, POST'],
  ['GET', '/v1/uploads', 'POST'],
  ['DELETE', '/v1/uploads/upl_1/confirm', 'POST'],
  ['POST', '/v1/images/img_1', 'GET, HEAD, PATCH, DELETE'],
] as const)('%s %s is told what there is', async (method, path, allow) => {
  const answer = await server.admin.call(method, path)
  expect(answer).toMatchObject({ status: 405, json: { code: 'method_not_allowed' }, headers: { allow } })
  expect(answer.json['detail']).toContain(method)
})

test('a page of another origin is told the setting that it is missing from, and the log tells it once', async () => {
  const asked = { Origin: 'https://new.example', 'Access-Control-Request-Method': 'POST' }
  const preflight = () => fetch(`${server.origin}/v1/uploads`, { method: 'OPTIONS', headers: asked })
  const answers = [await preflight(), await preflight()]
  const problem = (await answers[0]?.json()) as { code: string; detail: string }
  expect([answers[0]?.status, problem.code]).toEqual([403, 'origin_refused'])
  expect(problem.detail).toMatch(/HALFTONE_API_ORIGINS.*https:\/\/new\.example/)
  const lines = server.halftone.logLines.filter(({ event }) => event === 'api_origin_refused')
  expect(lines).toMatchObject([{ origin: 'https://new.example' }])
})

const idsOf = (images: unknown) => (images as { id: string }[]).map(({ id }) => id)
