import { createHmac } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT, type CryptoKey, type JWK } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { createJwtAuthenticator } from '../../../src/auth/jwt-authenticator.ts'
import { createUploadTokens } from '../../../src/auth/upload-token.ts'
import type { JwtConfig } from '../../../src/config/config.ts'
import { parseBlocks } from '../../../src/sources/address-guard.ts'
import { fetchAsNamed } from '../../../src/sources/fetch-as-named.ts'
import { createGuardedClient } from '../../../src/sources/guarded-client.ts'
import { createHostResolver } from '../../../src/sources/resolve-host.ts'

const nowMs = Date.UTC(2026, 0, 1)
const nowSeconds = nowMs / 1000
const secretText = 'a shared secret of more than 32 bytes'
const secret = new TextEncoder().encode(secretText)
const signal = new AbortController().signal
const projects = ['default', 'shop']

const bySecret: JwtConfig = {
  verifyBy: { kind: 'secret', secret: secretText },
  issuer: 'https://app.example',
  audience: 'halftone',
  algorithms: ['HS256'],
  projectClaim: 'project',
  scopesClaim: 'scopes',
  toleranceSeconds: 5,
}

const door = createGuardedClient({
  limits: {
    ...{ connectTimeoutMs: 2000, firstByteTimeoutMs: 5000, idleTimeoutMs: 2000, totalTimeoutMs: 5000 },
    maxRedirects: 0,
  },
  allowed: parseBlocks(['127.0.0.0/8']),
  ownHosts: new Set(),
  via: 'halftone-test',
  connections: 2,
  resolveHost: createHostResolver(),
})
afterAll(() => door.close())

const deps = {
  hasProject: (name: string) => projects.includes(name),
  now: () => nowMs,
  fetchKeySet: fetchAsNamed(door),
}

type Claims = Readonly<Record<string, unknown>>
const goodClaims: Claims = { sub: 'u-1', iss: 'https://app.example', aud: 'halftone', exp: nowSeconds + 60 }

function sign(claims: Claims, header: Claims = {}, key: Uint8Array | CryptoKey = secret): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: 'HS256', ...header }).sign(key)
}

/** What no library would make. */
function handSigned(header: Claims): string {
  const text = [header, goodClaims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
}

const ask = (jwt: string, config = bySecret) => createJwtAuthenticator(config, deps).authenticate(jwt, signal)
const without = (name: string): Claims => Object.fromEntries(Object.entries(goodClaims).filter(([key]) => key !== name))

describe('by a shared secret', () => {
  test('subject, project and scopes make the principal', async () => {
    const claims = { ...goodClaims, project: 'shop', scopes: ['images:read', 'openid', 'images:review'] }
    expect(await ask(await sign(claims))).toEqual({
      kind: 'jwt',
      project: 'shop',
      owner: 'u-1',
      scopes: new Set(['images:read', 'images:review']),
      name: 'u-1',
    })
  })

  test('without claims of ours: own uploads and images in the project default', async () => {
    expect(await ask(await sign(goodClaims, { typ: 'JWT' }))).toMatchObject({
      project: 'default',
      scopes: new Set(['uploads:write', 'images:read', 'images:write', 'images:share']),
    })
  })

  test('scopes may be one text, and claims may have other names', async () => {
    const config = { ...bySecret, projectClaim: 'https://x/project', scopesClaim: 'scope' }
    const claims = { ...goodClaims, 'https://x/project': 'shop', scope: 'openid images:read', project: 'nowhere' }
    expect(await ask(await sign(claims), config)).toMatchObject({ project: 'shop', scopes: new Set(['images:read']) })
  })

  test('a clock that is a little off is forgiven', async () => {
    expect(await ask(await sign({ ...goodClaims, exp: nowSeconds - 4, nbf: nowSeconds + 4 }))).toBeDefined()
  })

  test.each<[string, Claims, Claims]>([
    ['expired', { ...goodClaims, exp: nowSeconds - 6 }, {}],
    ['not valid yet', { ...goodClaims, nbf: nowSeconds + 6 }, {}],
    ['of another issuer', { ...goodClaims, iss: 'https://evil.example' }, {}],
    ['without issuer', without('iss'), {}],
    ['for another audience', { ...goodClaims, aud: ['other'] }, {}],
    ['without audience', without('aud'), {}],
    ['without end', without('exp'), {}],
    ['without subject', without('sub'), {}],
    ['with an empty subject', { ...goodClaims, sub: '' }, {}],
    ['with a subject that takes the name of a key', { ...goodClaims, sub: 'key:backend' }, {}],
    ['with a subject that takes the name of an address', { ...goodClaims, sub: 'anonymous:1' }, {}],
    ['with a line break in its subject', { ...goodClaims, sub: 'a\nb' }, {}],
    ['of a project that is not there', { ...goodClaims, project: 'nowhere' }, {}],
    ['of a project that only JavaScript knows', { ...goodClaims, project: 'constructor' }, {}],
    ['with a project that is no text', { ...goodClaims, project: ['shop'] }, {}],
    ['with scopes that are no texts', { ...goodClaims, scopes: 7 }, {}],
    ['of the type of our upload tokens', goodClaims, { typ: 'halftone-upload+jwt' }],
    ['of the type of our share tokens', goodClaims, { typ: 'halftone-share+jwt' }],
    ['of an algorithm that is not allowed', goodClaims, { alg: 'HS512' }],
  ])('refused: a token %s', async (_what, claims, header) => {
    await expect(sign(claims, header).then((jwt) => ask(jwt))).rejects.toMatchObject({ code: 'unauthenticated' })
  })

  test('says which claim is missing, and what it should be', async () => {
    const refusal = (claims: Claims) => expect(sign(claims).then((jwt) => ask(jwt))).rejects
    await refusal(without('exp')).toMatchObject({ detail: expect.stringMatching(/exp must be a number/) as string })
    await refusal(without('sub')).toMatchObject({ detail: expect.stringMatching(/sub must be a text/) as string })
  })

  test('refused: signed with another secret, altered, cut, without a signature', async () => {
    const good = await sign(goodClaims)
    const [head = '', , tail = ''] = good.split('.')
    const forged = `${head}.${Buffer.from(JSON.stringify({ ...goodClaims, scopes: ['admin'] })).toString('base64url')}.${tail}`
    const unsecured = new UnsecuredJWT(goodClaims).encode()
    const foreign = await sign(goodClaims, {}, new TextEncoder().encode('another secret of more than 32 bytes!'))
    const critical = handSigned({ alg: 'HS256', crit: ['unheard-of'], 'unheard-of': 1 })
    for (const jwt of [
      critical,
      handSigned({ alg: 'none' }),
      foreign,
      forged,
      `${good.slice(0, -4)}AAAA`,
      unsecured,
      `${head}.${head}.`,
      'a.b.c',
    ]) {
      await expect(ask(jwt)).rejects.toMatchObject({ code: 'unauthenticated' })
    }
    await expect(ask(`${'a'.repeat(9000)}.b.c`)).rejects.toMatchObject({ code: 'unauthenticated' })
  })

  test('the one who signs by hand can sign well', async () => {
    expect(await ask(handSigned({ alg: 'HS256' }))).toMatchObject({ owner: 'u-1' })
  })

  test('what is no JWT is left to others', async () => {
    for (const bearer of ['hk_abc', 'a secret', 'a.b', 'a.b.c.d', '']) expect(await ask(bearer)).toBeUndefined()
  })

  test('a token that opens one upload opens nothing here, even under the same secret', async () => {
    const tokens = createUploadTokens({ secret, ...deps })
    const token = await tokens.mint({ uploadId: 'upl_1', project: 'default', owner: 'x', expiresAtMs: nowMs + 1000 })
    await expect(ask(token, { ...bySecret, issuer: undefined, audience: undefined })).rejects.toMatchObject({
      code: 'unauthenticated',
    })
  })
})

describe('by a key set', () => {
  let server: Server
  let url = ''
  let keys: JWK[] = []
  let status = 200
  let body: string | undefined
  let asked = 0
  const pairs: Record<string, { privateKey: CryptoKey; publicKey: CryptoKey; jwk: JWK }> = {}

  async function pairOf(kid: string) {
    const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true })
    const jwk = { ...(await exportJWK(publicKey)), kid, alg: 'RS256', use: 'sig' }
    return (pairs[kid] ??= { privateKey, publicKey, jwk })
  }

  beforeAll(async () => {
    server = createServer((_request, response) => {
      asked += 1
      response.writeHead(status, status === 302 ? { location: url } : {}).end(body ?? JSON.stringify({ keys }))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/keys`
    await Promise.all(['k1', 'k2', 'k3'].map(pairOf))
  })
  afterAll(() => new Promise((resolve) => server.close(resolve)))
  afterEach(() => {
    vi.useRealTimers()
    status = 200
    body = undefined
    asked = 0
  })

  const config = (): JwtConfig => ({ ...bySecret, verifyBy: { kind: 'jwks', url }, algorithms: ['RS256', 'ES256'] })
  const publish = (...kids: string[]) => (keys = kids.flatMap((kid) => pairs[kid]?.jwk ?? []))
  const signBy = (kid: string, header: Claims = { kid }) =>
    sign(goodClaims, { alg: 'RS256', ...header }, pairs[kid]?.privateKey)

  test('a token of a published key is believed, and the set is asked for once', async () => {
    publish('k1', 'k2')
    const authenticator = createJwtAuthenticator(config(), deps)
    for (const kid of ['k1', 'k2', 'k1']) {
      expect(await authenticator.authenticate(await signBy(kid), signal)).toMatchObject({ owner: 'u-1' })
    }
    expect(asked).toBe(1)
  })

  test('a token without kid is tried with every key of its algorithm', async () => {
    publish('k1', 'k2')
    expect(await ask(await signBy('k2', {}), config())).toMatchObject({ owner: 'u-1' })
    await expect(ask(await signBy('k3', {}), config())).rejects.toMatchObject({ code: 'unauthenticated' })
  })

  test('the public key is no shared secret (algorithm confusion)', async () => {
    publish('k1')
    const publicKey = pairs['k1']?.publicKey
    if (publicKey === undefined) throw new Error('no key')
    const confused = [await exportSPKI(publicKey), JSON.stringify(pairs['k1']?.jwk)].map((text) =>
      sign(goodClaims, { alg: 'HS256', kid: 'k1' }, new TextEncoder().encode(text)),
    )
    for (const jwt of await Promise.all(confused)) {
      await expect(ask(jwt, config())).rejects.toMatchObject({ code: 'unauthenticated' })
    }
    await expect(ask(new UnsecuredJWT(goodClaims).encode(), config())).rejects.toMatchObject({
      code: 'unauthenticated',
    })
  })

  test('an unknown kid is a 401 and cannot make us ask again and again', async () => {
    publish('k1')
    const authenticator = createJwtAuthenticator(config(), deps)
    await authenticator.authenticate(await signBy('k1'), signal)
    for (let i = 0; i < 5; i++) {
      await expect(authenticator.authenticate(await signBy('k3'), signal)).rejects.toMatchObject({
        code: 'unauthenticated',
      })
    }
    expect(asked).toBe(1)
  })

  test('a key that was rotated in is found after the cooldown, one rotated out ends with the cache', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    publish('k1')
    const authenticator = createJwtAuthenticator(config(), deps)
    await authenticator.authenticate(await signBy('k1'), signal)
    publish('k2')
    vi.setSystemTime(Date.now() + 31_000)
    expect(await authenticator.authenticate(await signBy('k2'), signal)).toMatchObject({ owner: 'u-1' })
    vi.setSystemTime(Date.now() + 601_000)
    await expect(authenticator.authenticate(await signBy('k1'), signal)).rejects.toMatchObject({
      code: 'unauthenticated',
    })
  })

  test('a clock that is set back does not keep the provider from being asked', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    publish('k1')
    const authenticator = createJwtAuthenticator(config(), deps)
    await authenticator.authenticate(await signBy('k1'), signal)
    publish('k2')
    vi.setSystemTime(Date.now() - 1_800_000)
    expect(await authenticator.authenticate(await signBy('k2'), signal)).toMatchObject({ owner: 'u-1' })
    await expect(authenticator.authenticate(await signBy('k3'), signal)).rejects.toMatchObject({ status: 401 })
    expect(asked).toBe(2)
  })

  test.each<[string, number, string | undefined]>([
    ['answers 500', 500, undefined],
    ['redirects', 302, undefined],
    ['answers something else', 200, '<html>'],
    ['answers another document', 200, '{"nokeys":[]}'],
    ['answers without end', 200, `{"keys":["${'x'.repeat(600_000)}"]}`],
  ])('a provider that %s is no fault of the caller, and is left alone for a moment', async (_what, code, text) => {
    publish('k1')
    status = code
    body = text
    const authenticator = createJwtAuthenticator(config(), deps)
    for (let i = 0; i < 3; i++) {
      await expect(authenticator.authenticate(await signBy('k1'), signal)).rejects.toMatchObject({
        code: 'auth_unavailable',
        status: 503,
      })
    }
    expect(asked).toBe(1)
  })

  test('a provider that cannot be reached is a 503 as well', async () => {
    const dead: JwtConfig = { ...config(), verifyBy: { kind: 'jwks', url: 'http://127.0.0.1:1/keys' } }
    await expect(ask(await signBy('k1'), dead)).rejects.toMatchObject({ code: 'auth_unavailable' })
  })

  test('while the provider is down its last keys count for an hour, and an unknown kid is a 503', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    publish('k1')
    const authenticator = createJwtAuthenticator(config(), deps)
    await authenticator.authenticate(await signBy('k1'), signal)
    status = 503
    vi.setSystemTime(Date.now() + 1_200_000)
    expect(await authenticator.authenticate(await signBy('k1'), signal)).toMatchObject({ owner: 'u-1' })
    await expect(authenticator.authenticate(await signBy('k2'), signal)).rejects.toMatchObject({
      code: 'auth_unavailable',
    })
    vi.setSystemTime(Date.now() + 4_000_000)
    await expect(authenticator.authenticate(await signBy('k1'), signal)).rejects.toMatchObject({
      code: 'auth_unavailable',
    })
    status = 200
    vi.setSystemTime(Date.now() + 4_000)
    expect(await authenticator.authenticate(await signBy('k1'), signal)).toMatchObject({ owner: 'u-1' })
  })
})
