import { join } from 'node:path'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { issueApiKey } from '../../src/auth/issue-api-key.ts'
import type { Scope } from '../../src/auth/authenticator.ts'
import { openStores } from '../../src/db/open-stores.ts'
import { send } from '../contract/upload-target.ts'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { startOriginServer } from '../helpers/http-origin-server.ts'
import { makePictureFolder } from '../helpers/picture-folder.ts'
import { jwtFor, startUploads, type Answer, type Api, type Method, type UploadServer } from '../helpers/upload-api.ts'

const projects = makePictureFolder({
  'projects.json': JSON.stringify({ projects: { default: { publicUploads: true }, shop: { visibility: 'public' } } }),
})
let server: UploadServer
let photo: Buffer

beforeAll(async () => {
  photo = await drawGradientJpeg(64, 48)
  server = await startUploads({
    HALFTONE_PROJECTS_FILE: join(projects.folder, 'projects.json'),
    HALFTONE_AUTH_FAILURES_PER_MINUTE: '1000',
  })
})
afterAll(async () => {
  await server?.stop()
  projects.remove()
})

/** What a route needs of those who call it, and how it is called for an upload, an image and a share. */
const routes: readonly {
  readonly method: Method
  readonly path: string
  readonly scope: Scope
  readonly body?: object
  /** Succeeds for those who may, and leaves things as they are. */
  readonly status: number
}[] = [
  { method: 'GET', path: '/v1/uploads/:upload', scope: 'uploads:write', status: 200 },
  { method: 'GET', path: '/v1/uploads/:upload/events', scope: 'uploads:write', status: 200 },
  { method: 'POST', path: '/v1/uploads/:upload/parts', scope: 'uploads:write', body: { numbers: [1] }, status: 409 },
  { method: 'POST', path: '/v1/uploads/:upload/confirm', scope: 'uploads:write', status: 200 },
  { method: 'GET', path: '/v1/images/:image', scope: 'images:read', status: 200 },
  { method: 'GET', path: '/v1/images/:image/metadata', scope: 'images:read', status: 200 },
  { method: 'PATCH', path: '/v1/images/:image', scope: 'images:write', body: { subject: 'x' }, status: 200 },
  { method: 'PATCH', path: '/v1/images/:image', scope: 'images:review', body: { state: 'ready' }, status: 409 },
  { method: 'POST', path: '/v1/images/:image/signed-url', scope: 'images:share', body: {}, status: 200 },
  { method: 'POST', path: '/v1/images/:image/shares', scope: 'images:share', body: {}, status: 201 },
  { method: 'GET', path: '/v1/images/:image/shares', scope: 'images:share', status: 200 },
  { method: 'POST', path: '/v1/images/:image/purge', scope: 'images:purge', status: 204 },
  { method: 'POST', path: '/v1/purge', scope: 'images:purge', body: { image: ':image' }, status: 204 },
  { method: 'DELETE', path: '/v1/images/:image/shares/:share', scope: 'images:share', status: 204 },
  { method: 'DELETE', path: '/v1/images/:image', scope: 'images:write', status: 204 },
  { method: 'DELETE', path: '/v1/uploads/:upload', scope: 'uploads:write', status: 204 },
]
const ownerless: typeof routes = [
  {
    method: 'POST',
    path: '/v1/uploads',
    scope: 'uploads:write',
    body: { filename: 'a.jpg', type: 'image/jpeg', size: 9 },
    status: 201,
  },
  {
    method: 'POST',
    path: '/v1/images',
    scope: 'uploads:write',
    body: { url: 'http://127.0.0.1:9/a.jpg' },
    status: 403,
  },
  { method: 'GET', path: '/v1/images', scope: 'images:read', status: 200 },
  { method: 'GET', path: '/v1/usage', scope: 'images:read', status: 200 },
]

type Things = { readonly upload: string; readonly image: string; readonly share: string }

async function makeThings(owner: Api, intent: Record<string, unknown> = {}): Promise<Things> {
  const { id, image } = await owner.upload(photo, intent)
  const { json } = await server.admin.post(`/v1/images/${image.id}/shares`, {})
  return { upload: id, image: image.id, share: String(json['id']) }
}

function callRoute(api: Api, { method, path, body }: (typeof routes)[number], things?: Things): Promise<Answer> {
  const filled = (text: string) =>
    text.replace(/:(upload|image|share)\b/g, (_all, name: keyof Things) => things?.[name] ?? '')
  return api.call(method, filled(path), body && (JSON.parse(filled(JSON.stringify(body))) as object))
}

const outcome = ({ status, json }: Answer) => [status, json['code']]

describe('credentials', () => {
  test.each([...routes, ...ownerless])('$method $path asks for them', async (route) => {
    const things = { upload: `upl_${'0'.repeat(26)}`, image: `img_${'0'.repeat(26)}`, share: `shr_${'0'.repeat(26)}` }
    // Whoever wants nothing but to upload may do so here without.
    const isOpen = route.method === 'POST' && ['/v1/uploads', '/v1/images'].includes(route.path)
    for (const bearer of [undefined, 'wrong', 'a.b.c', await jwtFor('x', { project: 'nowhere' })]) {
      if (bearer === undefined && isOpen) continue
      const answer = await callRoute(server.as(bearer), route, things)
      expect(outcome(answer)).toEqual([401, 'unauthenticated'])
      expect(answer.headers['www-authenticate']).toMatch(/^Bearer realm="halftone"/)
      expect(/invalid_token/.test(answer.headers['www-authenticate'] ?? '')).toBe(bearer !== undefined)
      if (bearer === 'a.b.c') break
    }
  })

  test('basic authorization and a token in the query are none', async () => {
    const basic = await server.as(undefined).get('/v1/usage', { Authorization: 'Basic YTpi' })
    expect(outcome(basic)).toEqual([401, 'unauthenticated'])
    expect(outcome(await server.as(undefined).get(`/v1/usage?token=${await jwtFor('x')}`))).toEqual([
      401,
      'unauthenticated',
    ])
  })

  test('JWTs of an identity provider, by the keys that it publishes', async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256')
    const stranger = await generateKeyPair('ES256')
    const jwk = { ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256' }
    const provider = await startOriginServer((_request, response) => response.end(JSON.stringify({ keys: [jwk] })))
    const other = await startUploads({
      HALFTONE_JWT_SECRET: '',
      HALFTONE_JWT_JWKS_URL: `${provider.url}/jwks.json`,
      HALFTONE_JWT_ISSUER: 'https://id.example',
      HALFTONE_JWT_AUDIENCE: 'pictures',
    })
    const token = (key: typeof privateKey, audience = 'pictures') =>
      new SignJWT({ scopes: 'uploads:write images:read' })
        .setProtectedHeader({ alg: 'ES256', kid: 'one' })
        .setSubject('ann')
        .setIssuer('https://id.example')
        .setAudience(audience)
        .setExpirationTime('5 minutes')
        .sign(key)
    try {
      const ann = other.as(await token(privateKey))
      expect((await ann.get('/v1/usage')).json).toMatchObject({ project: 'default', owner: 'ann' })
      const { image } = await ann.upload(photo)
      expect((await ann.get(`/v1/images/${image.id}`)).status).toBe(200)
      for (const wrong of [await token(stranger.privateKey), await token(privateKey, 'other'), await jwtFor('ann')]) {
        expect(outcome(await other.as(wrong).get('/v1/usage'))).toEqual([401, 'unauthenticated'])
      }
    } finally {
      await other.stop()
      await provider.close()
    }
  })

  test('the identity provider is asked by the guarded door, wherever the operator says it stands, and by no redirect', async () => {
    const elsewhere = await startOriginServer((_request, response) => response.end('{"keys":[]}'))
    const provider = await startOriginServer((_request, response) =>
      response.writeHead(302, { location: `${elsewhere.url}/keys` }).end(),
    )
    const asked: string[] = []
    const resolveHost = (host: string) => {
      asked.push(host)
      return Promise.resolve([{ address: '127.0.0.1', family: 4 as const }])
    }
    const other = await startUploads(
      {
        HALFTONE_JWT_SECRET: '',
        HALFTONE_JWT_JWKS_URL: `http://localhost:${provider.port}/jwks.json`,
        HALFTONE_JWT_ISSUER: 'https://id.example',
        HALFTONE_JWT_AUDIENCE: 'pictures',
      },
      { resolveHost },
    )
    try {
      const { privateKey } = await generateKeyPair('ES256')
      const token = await new SignJWT({ sub: 'ann', iss: 'https://id.example', aud: 'pictures' })
        .setProtectedHeader({ alg: 'ES256', kid: 'one' })
        .setExpirationTime('5 minutes')
        .sign(privateKey)
      expect(outcome(await other.as(token).get('/v1/usage'))).toEqual([503, 'auth_unavailable'])
      expect(asked).toEqual(['localhost'])
      expect(provider.requests.map(({ url, headers }) => [url, headers.via])).toEqual([
        ['/jwks.json', expect.stringContaining('halftone-')],
      ])
      expect(elsewhere.requests).toEqual([])
    } finally {
      await other.stop()
      await Promise.all([provider.close(), elsewhere.close()])
    }
  })
})

describe('scopes', () => {
  let things: Things
  beforeAll(async () => {
    things = await makeThings(await server.user('scoped'))
  })
  const all: readonly Scope[] = [
    'uploads:write',
    'images:read',
    'images:write',
    'images:share',
    'images:review',
    'images:purge',
  ]

  test.each([...ownerless, ...routes])('$method $path needs $scope', async (route) => {
    const others = await server.user('scoped', { scopes: all.filter((scope) => scope !== route.scope) })
    const refused = await callRoute(others, route, things)
    expect(outcome(refused)).toEqual([403, 'scope_required'])
    expect(refused.headers['www-authenticate']).toContain(`scope="${route.scope}"`)
    // What is an image by now takes more to take back: below.
    const isUploadTakenBack = route.method === 'DELETE' && route.scope === 'uploads:write'
    const upload = isUploadTakenBack ? (await (await server.user('scoped')).presign(photo)).id : things.upload
    const one = await callRoute(await server.user('scoped', { scopes: [route.scope] }), route, { ...things, upload })
    expect(one.status).toBe(route.status)
  })

  test('taking an upload back that is an image already is deleting an image', async () => {
    const { upload, image } = await makeThings(await server.user('takes-back'))
    const writer = await server.user('takes-back', { scopes: ['uploads:write'] })
    expect(outcome(await writer.delete(`/v1/uploads/${upload}`))).toEqual([403, 'scope_required'])
    const replaced = { filename: 'a.jpg', type: 'image/jpeg', size: 9, image }
    expect(outcome(await writer.post('/v1/uploads', replaced))).toEqual([403, 'scope_required'])
    const owner = await server.user('takes-back')
    expect((await owner.delete(`/v1/uploads/${upload}`)).status).toBe(204)
    expect((await owner.get(`/v1/images/${image}`)).status).toBe(404)
  })

  test('nothing is changed of what only in part may be', async () => {
    const owner = await server.user('in-part')
    const { image } = await makeThings(owner)
    const change = { state: 'ready', subject: 'changed' }
    expect(outcome(await owner.patch(`/v1/images/${image}`, change))).toEqual([403, 'scope_required'])
    expect((await owner.get(`/v1/images/${image}`)).json['subject']).toBeUndefined()
  })
})

describe('owners and projects', () => {
  let things: Things
  let keys: Record<'shop' | 'reader' | 'revoked', string>
  beforeAll(async () => {
    things = await makeThings(await server.user('ann'))
    const stores = await openStores({ file: join(server.dataDir, 'halftone.sqlite') })
    const issue = async (name: string, project: string, scopes: readonly Scope[]) =>
      issueApiKey(stores.apiKeys, { name, project, scopes }, Date.now())
    const revoked = await issue('revoked', 'default', ['admin'])
    await stores.apiKeys.revoke(revoked.key.id, Date.now())
    keys = {
      shop: (await issue('shop', 'shop', ['admin'])).secret,
      reader: (await issue('reader', 'default', ['images:read', 'owners:any'])).secret,
      revoked: revoked.secret,
    }
    await stores.close()
  })

  test.each(routes)('$method $path: what is of somebody else is not there', async (route) => {
    const everything = {
      scopes: ['uploads:write', 'images:read', 'images:write', 'images:share', 'images:review', 'images:purge'],
    }
    for (const other of [
      await server.user('bob', everything),
      await server.user('ann', { ...everything, project: 'shop' }),
      server.as(keys.shop),
    ]) {
      const theirs = await callRoute(other, route, things)
      const missing = await callRoute(other, route, {
        upload: `upl_${'0'.repeat(26)}`,
        image: `img_${'0'.repeat(26)}`,
        share: 'x',
      })
      expect(outcome(theirs)).toEqual([404, 'not_found'])
      const { requestId: _one, instance: _here, ...told } = theirs.json
      const { requestId: _other, instance: _there, ...toldOfNothing } = missing.json
      expect(told).toEqual(toldOfNothing)
    }
  })

  test('a new version of somebody else’s image', async () => {
    const bob = await server.user('bob')
    const intent = { filename: 'a.jpg', type: 'image/jpeg', size: 9, image: things.image }
    expect(outcome(await bob.post('/v1/uploads', intent))).toEqual([404, 'not_found'])
    expect(outcome(await bob.form({ image: things.image }, photo))).toEqual([404, 'not_found'])
    expect((await bob.get('/v1/usage')).json).toMatchObject({ openUploads: 0 })
  })

  test('a key for any owner sees those of its project, and no other project', async () => {
    const shopped = await makeThings(server.as(keys.shop))
    const reader = server.as(keys.reader)
    expect((await reader.get(`/v1/images/${things.image}`)).status).toBe(200)
    expect((await server.admin.get(`/v1/images/${things.image}`)).status).toBe(200)
    expect((await server.admin.get(`/v1/images/${shopped.image}`)).status).toBe(404)
    expect((await reader.get(`/v1/images/${shopped.image}`)).status).toBe(404)
    const idsOf = ({ json }: Answer) => (json['images'] as { id: string }[]).map(({ id }) => id)
    expect(idsOf(await reader.get('/v1/images?limit=100'))).toContain(things.image)
    expect(idsOf(await reader.get('/v1/images?owner=ann'))).toEqual([things.image])
    expect(idsOf(await server.as(keys.shop).get('/v1/images?limit=100'))).toEqual([shopped.image])
    const bob = await server.user('bob')
    expect(idsOf(await bob.get('/v1/images?owner=ann'))).toEqual([])
  })

  test('the project of a key has its own rules', async () => {
    const { image } = await server.as(keys.shop).upload(photo)
    expect(image.visibility).toBe('public')
  })

  test('a revoked key is none', async () => {
    expect(outcome(await server.as(keys.revoked).get('/v1/usage'))).toEqual([401, 'unauthenticated'])
  })
})

describe('uploads without credentials', () => {
  test('are followed by a token of their own, which opens nothing else', async () => {
    const anybody = server.as(undefined)
    const first = await anybody.presign(photo)
    const second = await anybody.presign(photo)
    expect((await send(first.upload, photo)).status).toBe(200)
    expect(outcome(await anybody.confirm(first.id))).toEqual([401, 'unauthenticated'])
    const holder = server.as(first.token)
    const confirmed = await holder.confirm(first.id)
    expect(confirmed).toMatchObject({ status: 200, json: { state: 'ready', image: { width: 64 } } })
    expect((await holder.get(`/v1/uploads/${first.id}`)).status).toBe(200)
    expect(outcome(await holder.get(`/v1/uploads/${second.id}`))).toEqual([404, 'not_found'])
    expect(outcome(await holder.delete(`/v1/uploads/${second.id}`))).toEqual([404, 'not_found'])
    for (const path of [`/v1/images/${first.image.id}`, '/v1/images', '/v1/usage']) {
      expect(outcome(await holder.get(path))).toEqual([401, 'unauthenticated'])
    }
    expect(outcome(await holder.post(`/v1/images/${first.image.id}/shares`, {}))).toEqual([401, 'unauthenticated'])
    const intent = { filename: 'a.jpg', type: 'image/jpeg', size: 9 }
    expect(outcome(await holder.post('/v1/uploads', intent))).toEqual([401, 'unauthenticated'])
    expect(outcome(await anybody.post('/v1/uploads', { ...intent, image: first.image.id }))).toEqual([404, 'not_found'])
    expect((await holder.delete(`/v1/uploads/${first.id}`)).status).toBe(204)
  })

  test('and by form', async () => {
    const { status, json } = await server.as(undefined).form({}, photo)
    expect(status).toBe(200)
    expect((await server.as(String(json['token'])).get(`/v1/uploads/${String(json['id'])}`)).status).toBe(200)
  })

  test('an idempotency key says nothing where an address is all that is known of who used it', async () => {
    const { id } = await postKeyed(server.as(undefined), 'the-same-key')
    expect((await postKeyed(server.as(undefined), 'the-same-key')).id).not.toBe(id)
  })

  test('are refused where the project does not allow them', async () => {
    const closed = await startUploads({})
    try {
      const intent = { filename: 'a.jpg', type: 'image/jpeg', size: 9 }
      expect(outcome(await closed.as(undefined).post('/v1/uploads', intent))).toEqual([401, 'unauthenticated'])
      expect(outcome(await closed.as(undefined).form({}, photo))).toEqual([401, 'unauthenticated'])
    } finally {
      await closed.stop()
    }
  })
})

describe('rates', () => {
  test('too many uploads, requests or wrong credentials are 429 with the time to wait', async () => {
    const strict = await startUploads({
      HALFTONE_UPLOADS_PER_MINUTE_OWNER: '2',
      HALFTONE_UPLOADS_PER_MINUTE_ADDRESS: '3',
      HALFTONE_API_REQUESTS_PER_MINUTE: '6',
      HALFTONE_AUTH_FAILURES_PER_MINUTE: '2',
    })
    const intent = { filename: 'a.jpg', type: 'image/jpeg', size: 9 }
    try {
      const [ann, bob] = [await strict.user('ann'), await strict.user('bob')]
      expect((await ann.post('/v1/uploads', intent)).headers['ratelimit-remaining']).toBe('1')
      expect((await ann.post('/v1/uploads', intent)).status).toBe(201)
      const third = await ann.post('/v1/uploads', intent)
      expect(outcome(third)).toEqual([429, 'rate_limited'])
      expect(Number(third.headers['retry-after'])).toBeGreaterThan(0)
      expect(third.headers).toMatchObject({ 'ratelimit-limit': '2', 'ratelimit-remaining': '0' })
      expect(third.headers['ratelimit-policy']).toContain('"owner";q=2;w=60')
      // Of this address, another owner has one left; the third refused one above counted for its owner only.
      expect((await bob.post('/v1/uploads', intent)).status).toBe(201)
      expect(outcome(await bob.post('/v1/uploads', intent))).toEqual([429, 'rate_limited'])
      for (let left = 3; left > 0; left -= 1) expect((await ann.get('/v1/usage')).status).toBe(200)
      expect(outcome(await ann.get('/v1/usage'))).toEqual([429, 'rate_limited'])
      for (let left = 2; left > 0; left -= 1) expect((await strict.as('wrong').get('/v1/usage')).status).toBe(401)
      expect(outcome(await strict.as('wrong').get('/v1/usage'))).toEqual([429, 'rate_limited'])
    } finally {
      await strict.stop()
    }
  })
})

async function postKeyed(api: Api, key: string): Promise<{ id: string }> {
  const intent = { filename: 'a.jpg', type: 'image/jpeg', size: 9 }
  const { status, json } = await api.post('/v1/uploads', intent, { 'Idempotency-Key': key })
  expect(status).toBe(201)
  return json as { id: string }
}
