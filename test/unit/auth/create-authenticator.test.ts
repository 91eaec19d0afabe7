import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createAuthenticator } from '../../../src/auth/create-authenticator.ts'
import { apiKeyHash, isApiKeySecret, newApiKeySecret } from '../../../src/auth/api-key-secret.ts'
import { ensureFirstKey, issueApiKey } from '../../../src/auth/issue-api-key.ts'
import { createUploadTokens } from '../../../src/auth/upload-token.ts'
import type { AuthConfig } from '../../../src/config/config.ts'
import { openStores } from '../../../src/db/open-stores.ts'
import { createApiKeyShelf } from '../../helpers/api-key-shelf.ts'

const signal = new AbortController().signal
const config: AuthConfig = {
  apiKeys: [
    { name: 'backend', secret: 'sixteen-chars-or-more' },
    { name: 'cron', secret: 'hk_looks-like-a-made-one' },
  ],
  jwt: undefined,
  requestsPerMinute: 100,
  failuresPerMinute: 10,
}

function setUp(options: { projects?: readonly string[]; jwt?: AuthConfig['jwt'] } = {}) {
  const projects = new Set(options.projects ?? ['default', 'shop'])
  const clock = { ms: 1_000_000 }
  const shelf = createApiKeyShelf()
  const errors: unknown[] = []
  const deps = {
    hasProject: (name: string) => projects.has(name),
    now: () => clock.ms,
    fetchKeySet: () => Promise.reject(new Error('there is no provider')),
  }
  const uploadTokens = createUploadTokens({ secret: new Uint8Array(32).fill(7), ...deps })
  const authenticator = createAuthenticator(
    { ...config, jwt: options.jwt },
    {
      ...deps,
      findByHash: (hash) => shelf.findByHash(hash),
      touch: (id, nowMs) => shelf.touch(id, nowMs),
      onError: (error) => void errors.push(error),
      uploadTokens,
    },
  )
  return {
    shelf,
    clock,
    errors,
    projects,
    uploadTokens,
    ask: (bearer: string) => authenticator.authenticate(bearer, signal),
  }
}

const usual = { name: 'app', project: 'shop', scopes: ['uploads:write', 'images:read'] } as const

describe('keys of the settings', () => {
  test('open everything in the project default', async () => {
    const { ask } = setUp()
    expect(await ask('sixteen-chars-or-more')).toEqual({
      kind: 'key',
      project: 'default',
      owner: 'key:backend',
      scopes: new Set(['admin']),
      name: 'configured:backend',
    })
    expect(await ask('hk_looks-like-a-made-one')).toMatchObject({ owner: 'key:cron' })
  })

  test('must be whole', async () => {
    const { ask } = setUp()
    for (const bearer of ['sixteen-chars-or-mor', 'sixteen-chars-or-more ', 'SIXTEEN-CHARS-OR-MORE', 'backend', '']) {
      await expect(ask(bearer)).rejects.toMatchObject({ code: 'unauthenticated' })
    }
  })
})

describe('keys of the database', () => {
  test('that were cut or mistyped are called that', async () => {
    const { ask } = setUp()
    for (const bearer of ['hk_wrong', 'hk_', 'hk_ABC']) {
      await expect(ask(bearer)).rejects.toMatchObject({
        detail: expect.stringContaining('not a whole API key') as string,
      })
    }
    await expect(ask('no key at all')).rejects.toMatchObject({ detail: expect.stringContaining('no kind') as string })
  })

  test('have 256 random bits behind a prefix that can be searched for', () => {
    const secret = newApiKeySecret()
    expect(isApiKeySecret(secret)).toBe(true)
    expect(secret).toMatch(/^hk_[a-z2-7]{52}$/)
    expect(newApiKeySecret()).not.toBe(secret)
  })

  test('tell project, owner and scopes; only a hash is kept', async () => {
    const { shelf, ask } = setUp()
    const { key, secret } = await issueApiKey(shelf, usual, 5)
    expect(JSON.stringify([...shelf.rows])).not.toContain(secret)
    expect(shelf.rows.has(apiKeyHash(secret))).toBe(true)
    expect(await ask(secret)).toEqual({
      kind: 'key',
      project: 'shop',
      owner: 'key:app',
      scopes: new Set(['uploads:write', 'images:read']),
      name: key.id,
    })
  })

  test('that are unknown, revoked, or of a project that is gone open nothing', async () => {
    const { shelf, projects, ask } = setUp()
    const { key, secret } = await issueApiKey(shelf, usual, 5)
    await expect(ask(newApiKeySecret())).rejects.toMatchObject({ code: 'unauthenticated' })
    projects.delete('shop')
    await expect(ask(secret)).rejects.toMatchObject({ code: 'unauthenticated' })
    projects.add('shop')
    await ask(secret)
    await shelf.revoke(key.id, 6)
    await expect(ask(secret)).rejects.toMatchObject({ code: 'unauthenticated' })
  })

  test('scopes that this version does not know are ignored', async () => {
    const { shelf, ask } = setUp()
    const { key, secret } = await issueApiKey(shelf, usual, 5)
    shelf.rows.set(apiKeyHash(secret), { ...key, scopes: ['images:read', 'everything'] })
    expect((await ask(secret)).scopes).toEqual(new Set(['images:read']))
  })

  test('their last use is written at most once a minute, and a failure to do so harms nobody', async () => {
    const { shelf, clock, errors, ask } = setUp()
    const { secret } = await issueApiKey(shelf, usual, 5)
    await Promise.all([ask(secret), ask(secret), ask(secret)])
    clock.ms += 59_000
    await ask(secret)
    expect(shelf.touches).toEqual([1_000_000])
    clock.ms += 2000
    await ask(secret)
    expect(shelf.touches).toEqual([1_000_000, 1_061_000])
    shelf.touch = () => Promise.reject(new Error('disk full'))
    clock.ms += 61_000
    expect(await ask(secret)).toBeDefined()
    await new Promise((resolve) => setImmediate(resolve))
    expect(errors).toHaveLength(1)
  })

  test('a name that is none is refused', async () => {
    await expect(issueApiKey(createApiKeyShelf(), { ...usual, name: 'a b' }, 5)).rejects.toMatchObject({
      code: 'bad_request',
    })
  })
})

describe('the first key', () => {
  test('is made when there is no other, once', async () => {
    const { shelf, ask } = setUp()
    const secret = await ensureFirstKey(shelf, { apiKeys: [] }, 5)
    expect(await ask(secret ?? '')).toMatchObject({ project: 'default', scopes: new Set(['admin']) })
    expect(await ensureFirstKey(shelf, { apiKeys: [] }, 5)).toBeUndefined()
  })

  test('is made once by two processes that start at the same time', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'halftone-first-key-'))
    const file = join(folder, 'halftone.sqlite')
    const both = await Promise.all([openStores({ file }), openStores({ file })])
    const secrets = await Promise.all(both.map(({ apiKeys }) => ensureFirstKey(apiKeys, { apiKeys: [] }, 5)))
    expect(secrets.filter((secret) => secret !== undefined)).toHaveLength(1)
    expect(await both[0].apiKeys.list()).toMatchObject([{ name: 'first', scopes: ['admin'] }])
    for (const stores of both) await stores.close()
    rmSync(folder, { recursive: true })
  })

  test('is not made beside keys of the settings, nor again after it was revoked', async () => {
    const { shelf } = setUp()
    expect(await ensureFirstKey(shelf, config, 5)).toBeUndefined()
    await ensureFirstKey(shelf, { apiKeys: [] }, 5)
    for (const key of await shelf.list()) await shelf.revoke(key.id, 6)
    expect(await ensureFirstKey(shelf, { apiKeys: [] }, 7)).toBeUndefined()
  })
})

describe('tokens of anonymous uploads', () => {
  const upload = { uploadId: 'upl_1', project: 'default', owner: 'anonymous:1', expiresAtMs: 1_060_000 }

  test('open their upload and nothing else, until they expire', async () => {
    const { uploadTokens, clock, ask } = setUp()
    const token = await uploadTokens.mint(upload)
    expect(await ask(token)).toEqual({
      kind: 'anonymous',
      project: 'default',
      owner: 'anonymous:1',
      scopes: new Set(['uploads:write']),
      name: 'upload:upl_1',
      uploadId: 'upl_1',
    })
    clock.ms = 1_060_000
    await expect(ask(token)).rejects.toMatchObject({ code: 'unauthenticated' })
  })

  test('of another server, altered, or without any kind of JWT configured are refused', async () => {
    const { uploadTokens, ask } = setUp()
    const other = createUploadTokens({ secret: new Uint8Array(32).fill(8), hasProject: () => true, now: () => 0 })
    const [head = '', , tail = ''] = (await uploadTokens.mint(upload)).split('.')
    const claims = { sub: 'anonymous:1', upload: 'upl_2', project: 'default', exp: 9_999_999_999 }
    const altered = [head, Buffer.from(JSON.stringify(claims)).toString('base64url'), tail].join('.')
    for (const token of [await other.mint(upload), altered, 'eyJhbGciOiJIUzI1NiJ9.e30.AAAA']) {
      await expect(ask(token)).rejects.toMatchObject({ code: 'unauthenticated' })
    }
  })

  test('are told from JWTs by their type', async () => {
    const jwt = {
      verifyBy: { kind: 'secret', secret: 'x'.repeat(32) },
      issuer: undefined,
      audience: undefined,
      algorithms: ['HS256'],
      projectClaim: 'project',
      scopesClaim: 'scopes',
      toleranceSeconds: 0,
    } as const
    const { uploadTokens, ask } = setUp({ jwt })
    expect(await ask(await uploadTokens.mint(upload))).toMatchObject({ uploadId: 'upl_1' })
  })
})
