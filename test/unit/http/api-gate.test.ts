import { createServer, type Server } from 'node:http'
import { Router } from 'express'
import request from 'supertest'
import { afterEach, describe, expect, test } from 'vitest'
import type { Principal } from '../../../src/auth/authenticator.ts'
import type { ProjectConfig } from '../../../src/config/config.ts'
import { AppError } from '../../../src/errors.ts'
import { createPages } from '../../../src/http/create-pages.ts'
import { createApiGate } from '../../../src/http/middleware/api-gate.ts'
import { principalOf } from '../../../src/http/middleware/authenticate.ts'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

const project: ProjectConfig = {
  types: ['image/jpeg'],
  maxBytes: 1,
  maxPixels: 1,
  quota: { bytes: undefined, objects: undefined, openUploads: undefined },
  uploadsPerMinute: { owner: 3, address: 2 },
  publicUploads: false,
  visibility: 'private',
  kinds: {},
  webhook: undefined,
}

function principal(bearer: string): Principal {
  const [kind, owner = ''] = bearer.split('-')
  if (bearer === 'down') throw new AppError('auth_unavailable')
  if (kind !== 'key' && kind !== 'jwt' && kind !== 'anonymous')
    throw new AppError('unauthenticated', { detail: 'Who is that?' })
  const scopes: Principal['scopes'] = new Set(['uploads:write'])
  const known: Principal = { kind, project: 'default', owner, scopes, name: owner }
  return kind === 'anonymous' ? { ...known, uploadId: 'upl_1' } : known
}

type Options = { publicUploads?: boolean; requestsPerMinute?: number; trustedProxies?: string[]; origins?: string[] }

function setUp({ publicUploads = false, requestsPerMinute = 100, trustedProxies = [], origins = [] }: Options = {}) {
  const gate = createApiGate({
    authenticator: {
      // As a promise would: what is thrown becomes a rejection.
      authenticate: async (bearer) => Promise.resolve(principal(bearer)),
    },
    secret: new Uint8Array(32),
    timeoutMs: 1000,
    auth: { apiKeys: [], jwt: undefined, requestsPerMinute, failuresPerMinute: 3 },
    uploads: { apiOrigins: origins, projects: { default: { ...project, publicUploads } } },
    openPaths: ['/v1/blobs'],
    onOriginRefused: () => {},
  })
  const routes = Router()
  routes.get('/v1/forbidden', () => {
    throw new AppError('scope_required', { details: { scope: 'images:read' } })
  })
  routes.put('/v1/blobs/*key', (_request, response) => void response.json({ blob: true }))
  routes.all('/v1/{*rest}', (_request, response) => {
    const { kind, owner } = principalOf(response)
    response.json({ kind, owner })
  })
  const deps = {
    delivery: { errorMaxAgeSeconds: 60, retryAfterSeconds: 2, corsOrigin: '*' },
    onError: () => {},
    trustedProxies,
  }
  const server = createServer(createPages([gate, routes], deps))
  servers.push(server.listen(0, '127.0.0.1'))
  const api = request(server)
  const as = (bearer: string) => ({ authorization: `Bearer ${bearer}` })
  return { api, as }
}

describe('credentials', () => {
  test('make the caller known to the routes', async () => {
    const { api, as } = setUp()
    const answer = await api.get('/v1/images').set(as('jwt-anna'))
    expect(answer.body).toEqual({ kind: 'jwt', owner: 'anna' })
    expect(answer.headers['www-authenticate']).toBeUndefined()
  })

  test.each<[string, string | undefined, string]>([
    ['missing', undefined, 'Bearer realm="halftone"'],
    ['wrong', 'Bearer nobody', 'Bearer realm="halftone", error="invalid_token"'],
    ['of another scheme', 'Basic YTpi', 'Bearer realm="halftone", error="invalid_token"'],
    ['two', 'Bearer jwt-anna jwt-bert', 'Bearer realm="halftone", error="invalid_token"'],
    ['empty', 'Bearer ', 'Bearer realm="halftone", error="invalid_token"'],
  ])('%s: 401 with a challenge, never stored', async (_what, authorization, wanted) => {
    const { api } = setUp()
    const answer = await api.get('/v1/images').set(authorization === undefined ? {} : { authorization })
    expect(answer.status).toBe(401)
    expect(answer.headers).toMatchObject({ 'www-authenticate': wanted, 'cache-control': 'no-store' })
    expect(answer.body).toMatchObject({ code: 'unauthenticated', status: 401 })
  })

  test('that do not suffice are a 403 that names the scope', async () => {
    const { api, as } = setUp()
    const answer = await api.get('/v1/forbidden').set(as('jwt-anna'))
    expect(answer.status).toBe(403)
    expect(answer.headers['www-authenticate']).toBe(
      'Bearer realm="halftone", error="insufficient_scope", scope="images:read"',
    )
  })

  test('in the query are none', async () => {
    expect((await setUp().api.get('/v1/images?access_token=jwt-anna')).status).toBe(401)
  })

  test('that cannot be checked are a 503, and no failure of the caller', async () => {
    const { api, as } = setUp()
    for (let i = 0; i < 5; i++) expect((await api.get('/v1/images').set(as('down'))).status).toBe(503)
  })

  test('are not asked for where the URL is the permission', async () => {
    const { api } = setUp()
    expect((await api.put('/v1/blobs/staging/upl_1')).body).toEqual({ blob: true })
    expect((await api.put('/v1/blobsandmore')).status).toBe(401)
  })
})

describe('without credentials', () => {
  test('uploads may be begun where the project is open, and nothing else may', async () => {
    const { api } = setUp({ publicUploads: true })
    const first = await api.post('/v1/uploads')
    expect(first.body).toMatchObject({
      kind: 'anonymous',
      owner: expect.stringMatching(/^anonymous:[0-9a-f]{32}$/) as string,
    })
    expect((await api.post('/v1/images')).body).toEqual(first.body)
    for (const answer of [api.get('/v1/uploads/upl_1'), api.post('/v1/uploads/upl_1/confirm'), api.get('/v1/images')]) {
      expect((await answer).status).toBe(401)
    }
    expect((await api.post('/v1/uploads').set('authorization', 'Bearer nobody')).status).toBe(401)
  })

  test('not where it is closed', async () => {
    expect((await setUp().api.post('/v1/uploads')).status).toBe(401)
  })

  test('the token of one upload goes on with it and begins no other', async () => {
    const { api, as } = setUp({ publicUploads: true })
    expect((await api.post('/v1/uploads/upl_1/confirm').set(as('anonymous-x'))).status).toBe(200)
    expect((await api.post('/v1/uploads').set(as('anonymous-x'))).status).toBe(401)
  })

  test('each address is an owner of its own', async () => {
    const { api } = setUp({ publicUploads: true, trustedProxies: ['127.0.0.1'] })
    const from = async (address: string): Promise<unknown> =>
      (await api.post('/v1/uploads').set('x-forwarded-for', address)).body as unknown
    expect(await from('192.0.2.1')).not.toEqual(await from('192.0.2.2'))
    expect(await from('2001:db8::1')).toEqual(await from('2001:db8::2'))
  })
})

describe('limits', () => {
  test('are told with every answer, and what is over them is a 429 with the time to wait', async () => {
    const { api, as } = setUp({ requestsPerMinute: 2 })
    const first = await api.get('/v1/images').set(as('jwt-anna'))
    expect(first.headers).toMatchObject({
      'ratelimit-policy': '"requests";q=2;w=60',
      ratelimit: '"requests";r=1;t=60',
      'ratelimit-limit': '2',
      'ratelimit-remaining': '1',
      'ratelimit-reset': '60',
    })
    await api.get('/v1/images').set(as('jwt-anna'))
    const third = await api.get('/v1/images').set(as('jwt-anna'))
    expect(third.status).toBe(429)
    expect(third.body).toMatchObject({ code: 'rate_limited' })
    expect(Number(third.headers['retry-after'])).toBeGreaterThan(50)
    expect(third.headers['ratelimit-remaining']).toBe('0')
    expect((await api.get('/v1/images').set(as('jwt-bert'))).status).toBe(200)
  })

  test('of uploads count owner and address, for keys the owner only', async () => {
    const { api, as } = setUp()
    const begin = async (bearer: string): Promise<number> => (await api.post('/v1/uploads').set(as(bearer))).status
    expect([await begin('jwt-anna'), await begin('jwt-bert'), await begin('jwt-carl')]).toEqual([200, 200, 429])
    const byKey = [await begin('key-app'), await begin('key-app'), await begin('key-app'), await begin('key-app')]
    expect(byKey).toEqual([200, 200, 200, 429])
    const told = await api.post('/v1/images').set(as('key-other'))
    expect(told.headers['ratelimit-policy']).toBe('"requests";q=100;w=60, "owner";q=3;w=60')
    expect(told.headers['ratelimit-remaining']).toBe('2')
  })

  test('of an address follow X-Forwarded-For of trusted proxies only', async () => {
    const begin = async (options: Options): Promise<number[]> => {
      const { api, as } = setUp(options)
      const statuses: number[] = []
      for (const address of ['192.0.2.1', '192.0.2.2', '192.0.2.3']) {
        const answer = await api.post('/v1/uploads').set({ ...as(`jwt-${address}`), 'x-forwarded-for': address })
        statuses.push(answer.status)
      }
      return statuses
    }
    expect(await begin({})).toEqual([200, 200, 429])
    expect(await begin({ trustedProxies: ['127.0.0.0/8'] })).toEqual([200, 200, 200])
  })

  test('wrong credentials end in a 429 for the address, but never good ones', async () => {
    const { api, as } = setUp({ trustedProxies: ['127.0.0.1'] })
    const ask = async (bearer: string, address: string): Promise<number> =>
      (await api.get('/v1/images').set({ ...as(bearer), 'x-forwarded-for': address })).status
    for (let i = 0; i < 3; i++) expect(await ask('nobody', '192.0.2.1')).toBe(401)
    expect(await ask('nobody', '192.0.2.1')).toBe(429)
    expect(await ask('jwt-anna', '192.0.2.1')).toBe(200)
    expect(await ask('jwt-anna', '192.0.2.2')).toBe(200)
  })
})

describe('pages of other origins', () => {
  const asked = { origin: 'https://app.example', 'access-control-request-method': 'POST' }

  test('are told what they may send, without credentials', async () => {
    const { api } = setUp({ origins: ['https://app.example', 'https://other.example'] })
    const answer = await api.options('/v1/uploads').set(asked)
    expect(answer.status).toBe(204)
    expect(answer.headers).toMatchObject({
      'access-control-allow-origin': 'https://app.example',
      vary: expect.stringContaining('Origin') as string,
    })
    expect(answer.headers['access-control-allow-credentials']).toBeUndefined()
    const allowed = (answer.headers['access-control-allow-headers'] ?? '').toLowerCase().split(',')
    for (const name of ['authorization', 'content-type', 'idempotency-key', 'prefer', 'if-none-match'])
      expect(allowed).toContain(name)
    expect(allowed).toContain('x-amz-checksum-sha256')
  })

  test('can read answers, errors included', async () => {
    const { api, as } = setUp({ origins: ['https://app.example'] })
    const good = await api.get('/v1/images').set({ ...as('jwt-anna'), origin: 'https://app.example' })
    expect(good.headers['access-control-expose-headers']).toContain('Retry-After')
    const bad = await api.get('/v1/images').set('origin', 'https://app.example')
    expect([bad.status, bad.headers['access-control-allow-origin']]).toEqual([401, 'https://app.example'])
  })

  test('that are not listed get nothing', async () => {
    for (const origins of [[], ['https://other.example']]) {
      const { api } = setUp({ origins })
      for (const answer of [await api.options('/v1/uploads').set(asked), await api.get('/v1/images').set(asked)])
        expect(answer.headers['access-control-allow-origin']).toBeUndefined()
    }
  })

  test('may be any', async () => {
    const answer = await setUp({ origins: ['*'] })
      .api.options('/v1/uploads')
      .set(asked)
    expect(answer.headers['access-control-allow-origin']).toBe('*')
  })
})
