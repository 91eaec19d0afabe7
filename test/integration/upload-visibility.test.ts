import { request as httpRequest } from 'node:http'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ask } from '../helpers/ask.ts'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { pathOf, startUploads, targetOf, type UploadServer } from '../helpers/upload-api.ts'

let server: UploadServer
let photo: Buffer

beforeAll(async () => {
  photo = await drawGradientJpeg(200, 150)
  server = await startUploads()
})
afterAll(() => server?.stop())

const look = (target: string, headers: Record<string, string> = {}) => ask(server.halftone, target, headers)
const cacheStatus = ({ headers }: Awaited<ReturnType<typeof look>>) => headers.get('cache-status')
const cacheControl = ({ headers }: Awaited<ReturnType<typeof look>>) => headers.get('cache-control')

describe('private, which is the default', () => {
  test('needs a signature on misses and on hits', async () => {
    const { image } = await server.admin.upload(photo)
    expect(image.visibility).toBe('private')
    const path = `${pathOf(image.url)}?w=30`
    expect(await look(path)).toMatchObject({ status: 403, code: 'signature_required' })
    expect(await look(`/u/${image.id}?w=30`)).toMatchObject({ status: 403, code: 'signature_required' })
    const { json } = await server.admin.post(`/v1/images/${image.id}/signed-url`, { params: 'w=30' })
    const signed = targetOf(String(json['url']))
    for (const _round of [1, 2, 3]) expect(await look(signed)).toMatchObject({ status: 200 })
    expect(cacheStatus(await look(signed))).toMatch(/hit/)
    const refused = await look(path)
    expect([refused.status, cacheControl(refused)]).toEqual([403, 'no-store'])
    expect(await look(signed.replace('w=30', 'w=31'))).toMatchObject({ status: 403, code: 'signature_invalid' })
    const etag = (await look(signed)).headers.get('etag') ?? ''
    expect((await look(path, { 'if-none-match': etag })).status).toBe(403)
  })

  test('answers of private images are private, and never outlive their URL', async () => {
    const { image } = await server.admin.upload(photo)
    const { json } = await server.admin.post(`/v1/images/${image.id}/signed-url`, { expiresIn: 100 })
    const control = cacheControl(await look(targetOf(String(json['url'])))) ?? ''
    expect(control).toMatch(/^private, max-age=\d+$/)
    expect(Number(control.split('=')[1])).toBeLessThanOrEqual(100)
    expect(image.urlExpiresAt && Date.parse(image.urlExpiresAt) - Date.now()).toBeGreaterThan(3_500_000)
    for (const url of [image.url, ...image.srcset.split(', ').map((entry) => entry.split(' ')[0] ?? '')]) {
      expect(await look(targetOf(url))).toMatchObject({ status: 200 })
    }
  })
})

describe('a change of visibility', () => {
  test('holds for the very next request, whatever the caches have', async () => {
    const { image } = await server.admin.upload(photo, { visibility: 'public' })
    const targets = [`${pathOf(image.url)}?w=40`, `/u/${image.id}?w=40`]
    for (const target of [...targets, ...targets, ...targets]) expect((await look(target)).status).toBe(200)
    for (const target of targets) expect(cacheStatus(await look(target))).toMatch(/hit; detail=memory/)
    for (let round = 0; round < 3; round += 1) {
      await server.admin.patch(`/v1/images/${image.id}`, { visibility: 'private' })
      for (const target of targets)
        expect(await look(target)).toMatchObject({ status: 403, code: 'signature_required' })
      await server.admin.patch(`/v1/images/${image.id}`, { visibility: 'public' })
      for (const target of targets) expect(cacheStatus(await look(target))).toMatch(/hit/)
    }
  })

  test('by another process, too', async () => {
    const { image } = await server.admin.upload(photo, { visibility: 'public' })
    const target = `${pathOf(image.url)}?w=40`
    for (const _round of [1, 2, 3]) expect((await look(target)).status).toBe(200)
    await server.sql("update images set visibility = 'private' where id = ?", image.id)
    expect((await look(target)).status).toBe(403)
  })
})

describe('what is not ready, or not any more, is not there', () => {
  test('deleted: every version, rendition, signed URL and share, at once', async () => {
    // Bytes that no other image has.
    const { image } = await server.admin.upload(await drawGradientJpeg(91, 91))
    const second = await server.admin.upload(await drawGradientJpeg(90, 90), { image: image.id })
    const url = async (path: string, body: object) =>
      targetOf(String((await server.admin.post(`/v1/images/${image.id}/${path}`, body)).json['url']))
    const targets = [
      targetOf(image.url),
      targetOf(second.image.url),
      await url('signed-url', {}),
      `${await url('signed-url', {})}&w=20`,
      await url('signed-url', { params: 'w=25' }),
      await url('shares', {}),
      await url('shares', { maxUses: 50, params: 'w=26' }),
    ]
    const before = await Promise.all([...targets, ...targets].map((target) => look(target)))
    expect(before.map(({ status }) => status)).toEqual([...targets, ...targets].map(() => 200))
    const tags = before.map(({ headers }) => headers.get('etag') ?? '')
    expect((await server.admin.delete(`/v1/images/${image.id}`)).status).toBe(204)
    for (const [at, target] of targets.entries()) {
      expect(await look(target)).toMatchObject({ status: 404, code: 'not_found' })
      expect((await look(target, { 'if-none-match': tags[at] ?? '' })).status).toBe(404)
    }
    expect((await look(`/u/${image.id}`)).status).toBe(404)
    expect((await server.admin.get(`/v1/images/${image.id}`)).status).toBe(404)
    const keys = server.rows<{ object_key: string }>('select object_key from versions where image_id = ?', image.id)
    for (const { object_key: key } of keys) expect(server.files('objects').has(key.replace('objects/', ''))).toBe(false)
  })

  test.each(['pending', 'rejected', 'quarantined'])('%s', async (state) => {
    const { image } = await server.admin.upload(photo, { visibility: 'public' })
    const target = `${pathOf(image.url)}?w=44`
    for (const _round of [1, 2]) expect((await look(target)).status).toBe(200)
    await server.sql('update images set state = ? where id = ?', state, image.id)
    for (const asked of [target, pathOf(image.url), `/u/${image.id}`]) expect((await look(asked)).status).toBe(404)
    await server.sql("update images set state = 'ready' where id = ?", image.id)
    await server.sql('update versions set state = ? where image_id = ?', state, image.id)
    for (const asked of [target, pathOf(image.url), `/u/${image.id}`]) expect((await look(asked)).status).toBe(404)
  })

  test('an upload that was never confirmed', async () => {
    const { image } = await server.admin.begin(photo, { visibility: 'public' })
    expect(await look(`/u/${image.id}`)).toMatchObject({ status: 404 })
    expect(await look(`/u/${image.id}/1/a.jpg`)).toMatchObject({ status: 404 })
    const signed = await server.admin.post(`/v1/images/${image.id}/signed-url`, {})
    expect(signed).toMatchObject({ status: 409, json: { code: 'wrong_state' } })
  })
})

describe('URLs of public images', () => {
  test('with a version for good, without for a short time, and under any name', async () => {
    const { image } = await server.admin.upload(photo, { visibility: 'public' })
    const exact = await look(`/u/${image.id}/1/lake.jpg?w=50`)
    expect(cacheControl(exact)).toBe('public, max-age=31536000, immutable')
    const renamed = await look(`/u/${image.id}/1/anything-else.png?w=50`)
    expect([renamed.body, renamed.headers.get('etag')]).toEqual([exact.body, exact.headers.get('etag')])
    expect(cacheStatus(renamed)).toMatch(/hit/)
    const newest = await look(`/u/${image.id}?w=50`)
    expect(newest.body).toEqual(exact.body)
    const seconds = Number(/^public, max-age=(\d+)/.exec(cacheControl(newest) ?? '')?.[1])
    expect(seconds).toBeLessThanOrEqual(60)
    expect(cacheControl(newest)).not.toContain('immutable')
    expect(newest.headers.get('cache-tag')).toContain(`image-${image.id}`)
  })

  test('versions that are not there, and odd spellings', async () => {
    const { image } = await server.admin.upload(photo, { visibility: 'public' })
    const { id } = image
    const paths = [
      ...[`/u/${id}/2/a.jpg`, `/u/${id}/0/a.jpg`, `/u/${id}/01/a.jpg`, `/u/${id}/-1/a.jpg`, `/u/${id}/1e0/a.jpg`],
      ...[
        `/u/${id}/1`,
        `/u/${id}/1/`,
        `/u/${id}/`,
        `/u/${id}/1/a/b.jpg`,
        `/u/${id.toUpperCase()}`,
        `/u/${id}x`,
        '/u/',
        '/u',
      ],
      ...[`/u/${id}/../${id}`, `/u/../u/${id}`, `/u/%2e%2e/u/${id}`, `/u/${id}/1/..%2f..%2fobjects`, `/u/./${id}`],
      ...[`/u//${id}`, `//u/${id}`, `/u/${id}%00`, `/u/${id}/1/a%00.jpg`, `/u\\${id}`, `/u/${id};v=1`, `/U/${id}`],
      ...[
        '/u/objects',
        '/u/staging',
        '/objects',
        '/uploads',
        '/halftone.sqlite',
        '/u/img_',
        `/u/upl_${'0'.repeat(26)}`,
      ],
    ]
    for (const path of paths) expect([path, [400, 404].includes(await rawStatus(path))]).toEqual([path, true])
    expect(await rawStatus(`/u/${id}/1/a.jpg`)).toBe(200)
    expect(await rawStatus(`/u/${id}/1/%C3%A4%20b.jpg`)).toBe(200)
  })

  test('only GET and HEAD', async () => {
    const { image } = await server.admin.upload(photo, { visibility: 'public' })
    for (const method of ['PUT', 'POST', 'DELETE', 'PATCH'] as const) {
      expect((await server.admin.call(method, pathOf(image.url))).status).toBe(405)
    }
  })
})

describe('a purge', () => {
  test('renders anew, under another ETag, and nothing else changes', async () => {
    const { image } = await server.admin.upload(photo, { visibility: 'public' })
    const target = `${pathOf(image.url)}?w=60`
    for (const _round of [1, 2, 3]) await look(target)
    const before = await look(target)
    expect(cacheStatus(before)).toMatch(/hit/)
    expect((await server.admin.post(`/v1/images/${image.id}/purge`)).status).toBe(204)
    const after = await look(target)
    expect(cacheStatus(after)).toMatch(/fwd=miss/)
    expect(after.headers.get('etag')).not.toBe(before.headers.get('etag'))
    expect(after.body).toEqual(before.body)
    expect((await server.admin.post('/v1/purge', { image: image.id })).status).toBe(204)
    expect((await look(target)).headers.get('etag')).not.toBe(after.headers.get('etag'))
  })

  test.each([
    [{ url: 'http://x/a.jpg' }, 400, /"url".*image/],
    [{ tag: 'a' }, 400, /"tag"/],
    [{ source: 'a' }, 400, /"source"/],
    [{}, 400, /one of image/],
    [{ image: 'a', tag: 'b' }, 400, /one of image/],
    [{ image: 'a' }, 404, /image/],
  ])('of %j', async (body, status, detail) => {
    const answer = await server.admin.post('/v1/purge', body)
    expect(answer.status).toBe(status)
    expect(answer.json['detail']).toMatch(detail)
  })
})

describe('the same bytes twice', () => {
  test('by one owner are one object, by another another, and nothing tells', async () => {
    const twice = await drawGradientJpeg(70, 50)
    const [ann, bob] = [await server.user('ann-twice'), await server.user('bob-twice')]
    const first = await ann.upload(twice)
    const usage = (await ann.get('/v1/usage')).json
    const objects = server.files('objects').size
    const again = await ann.upload(twice)
    expect(again.image.id).not.toBe(first.image.id)
    expect((await ann.get('/v1/usage')).json).toEqual({ ...usage, images: 2 })
    expect(server.files('objects').size).toBe(objects)
    const theirs = await bob.upload(twice)
    expect(server.files('objects').size).toBe(objects + 1)
    expect({ ...(await bob.get('/v1/usage')).json, owner: '' }).toEqual({ ...usage, owner: '' })
    expect(Object.keys(theirs)).toEqual(Object.keys(first))
    expect(theirs.image.byteLength).toBe(first.image.byteLength)
    // The bytes go with the last image that has them.
    await ann.delete(`/v1/images/${first.image.id}`)
    expect((await look(targetOf(again.image.url))).status).toBe(200)
    await ann.delete(`/v1/images/${again.image.id}`)
    expect(server.files('objects').size).toBe(objects)
    expect((await ann.get('/v1/usage')).json).toMatchObject({ storedBytes: 0, objects: 0 })
    expect(await sharp((await look(targetOf(theirs.image.url))).body).metadata()).toMatchObject({ width: 70 })
  })
})

/** As written: a client library would tidy the path up. */
function rawStatus(path: string): Promise<number> {
  const { hostname, port } = new URL(server.origin)
  return new Promise((resolve, reject) => {
    const asked = httpRequest({ hostname, port, path }, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    asked.on('error', reject)
    asked.end()
  })
}
