import { mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Config, ProjectConfig, UploadsConfig } from '../../../src/config/config.ts'
import { formatFaults } from '../../../src/config/config-fault.ts'
import { loadConfig } from '../../../src/config/load-config.ts'
import { printConfig } from '../../../src/config/print-config.ts'

let cwd = ''
beforeAll(async () => {
  cwd = await realpath(await mkdtemp(join(tmpdir(), 'halftone-api-')))
})
afterAll(() => rm(cwd, { recursive: true }))

type Env = Readonly<Record<string, string>>
const load = (env: Env) => loadConfig(env, { cwd, packageDir: join(cwd, 'package') })

function configOf(env: Env): Config {
  const loaded = load(env)
  if (!loaded.ok) throw new Error(formatFaults(loaded.faults))
  return loaded.config
}

function uploadsOf(env: Env): UploadsConfig {
  const { uploads } = configOf(env)
  if (uploads === undefined) throw new Error('uploads are off')
  return uploads
}

function faultsOf(env: Env): Record<string, string> {
  const loaded = load(env)
  return loaded.ok ? {} : Object.fromEntries(loaded.faults.map((fault) => [fault.name, fault.message]))
}

const secret32 = 'hunter2-hunter2-hunter2-hunter2-'
const whsec = `whsec_${Buffer.from('hunter2'.padEnd(32, 'x')).toString('base64')}`

describe('without any setting', () => {
  test('uploads go to the data directory, private, from callers with keys only', () => {
    const { auth, uploads } = configOf({})
    expect(auth).toEqual({ apiKeys: [], jwt: undefined, requestsPerMinute: 1200, failuresPerMinute: 30 })
    expect(uploads).toMatchObject({
      target: { kind: 'disk', folder: join(cwd, 'data', 'uploads') },
      apiOrigins: [],
      permissionSeconds: 900,
      partsFromBytes: 32_000_000,
      partBytes: 8_000_000,
      retentionSeconds: 90 * 86_400,
      partsSeconds: 86_400,
      confirmHashBytes: 64_000_000,
      signedUrlSeconds: 3600,
      signedUrlMaxSeconds: 604_800,
      idempotencySeconds: 86_400,
    })
    expect(Object.keys(uploads?.projects ?? {})).toEqual(['default'])
    const project = uploads?.projects['default']
    expect(project).toMatchObject({ maxBytes: 50_000_000, maxPixels: 120_000_000, visibility: 'private' })
    expect(project).toMatchObject({ publicUploads: false, webhook: undefined })
    expect(project?.types).toContain('image/heic')
    expect(project?.types).not.toContain('image/svg+xml')
    expect(Object.keys(project?.kinds ?? {})).toEqual(['avatar', 'banner'])
  })

  test('they can be turned off', () => {
    expect(configOf({ HALFTONE_UPLOADS: 'off' }).uploads).toBeUndefined()
  })
})

describe('the target', () => {
  test.each<[string, Env, object]>([
    ['a bucket', { HALFTONE_UPLOADS: 's3://pics' }, { bucket: 'pics', prefix: '', endpoint: undefined }],
    ['a prefix', { HALFTONE_UPLOADS: 's3://pics/a/b/' }, { bucket: 'pics', prefix: 'a/b' }],
    [
      'another store',
      { HALFTONE_UPLOADS: 's3://pics', S3_ENDPOINT: 'http://minio:9000', S3_FORCE_PATH_STYLE: 'true', S3_REGION: 'x' },
      { endpoint: 'http://minio:9000', forcePathStyle: true, region: 'x', presignedPost: true },
    ],
    [
      'a store that clients reach elsewhere',
      {
        HALFTONE_UPLOADS: 's3://pics',
        S3_ENDPOINT: 'http://minio:9000',
        HALFTONE_UPLOADS_ENDPOINT: 'https://uploads.example.com',
      },
      { endpoint: 'http://minio:9000', clientEndpoint: 'https://uploads.example.com' },
    ],
    ['AWS', { HALFTONE_UPLOADS: 's3://pics' }, { presignedPost: true, clientEndpoint: undefined }],
    [
      'R2, which has no POST',
      { HALFTONE_UPLOADS: 's3://pics', S3_ENDPOINT: 'https://abc.r2.cloudflarestorage.com' },
      { presignedPost: false },
    ],
    [
      'B2, which has no POST',
      { HALFTONE_UPLOADS: 's3://pics', S3_ENDPOINT: 'https://s3.us-west-004.backblazeb2.com' },
      { presignedPost: false },
    ],
    [
      'whatever the operator knows better',
      {
        HALFTONE_UPLOADS: 's3://pics',
        HALFTONE_UPLOADS_PRESIGNED_POST: 'on',
        S3_ENDPOINT: 'https://abc.r2.cloudflarestorage.com',
      },
      { presignedPost: true },
    ],
    ['off', { HALFTONE_UPLOADS: 's3://pics', HALFTONE_UPLOADS_PRESIGNED_POST: 'off' }, { presignedPost: false }],
  ])('%s', (_what, env, wanted) => {
    expect(uploadsOf(env).target).toMatchObject({ kind: 's3', ...wanted })
  })
})

describe('callers', () => {
  test('keys of the settings keep name and secret, which may hold colons', () => {
    expect(configOf({ HALFTONE_API_KEYS: `a:${secret32},b:x:y:z-0123456789` }).auth.apiKeys).toEqual([
      { name: 'a', secret: secret32 },
      { name: 'b', secret: 'x:y:z-0123456789' },
    ])
  })

  test('a shared secret brings HS256, a key set the public ones', () => {
    expect(configOf({ HALFTONE_JWT_SECRET: secret32 }).auth.jwt).toEqual({
      verifyBy: { kind: 'secret', secret: secret32 },
      issuer: undefined,
      audience: undefined,
      algorithms: ['HS256'],
      projectClaim: 'project',
      scopesClaim: 'scopes',
      toleranceSeconds: 5,
    })
    const byKeySet = {
      HALFTONE_JWT_JWKS_URL: 'https://id.example/keys',
      HALFTONE_JWT_ISSUER: 'i',
      HALFTONE_JWT_AUDIENCE: 'a',
    }
    expect(configOf(byKeySet).auth.jwt).toMatchObject({
      verifyBy: { kind: 'jwks', url: 'https://id.example/keys' },
      algorithms: ['RS256', 'PS256', 'ES256', 'EdDSA'],
    })
    for (const url of ['http://127.0.0.1:8000/k', 'http://localhost/k', 'http://[::1]:1/k'])
      expect(configOf({ ...byKeySet, HALFTONE_JWT_JWKS_URL: url }).auth.jwt).toBeDefined()
  })

  test.each<[string, Env, string, RegExp]>([
    ['a key that is short', { HALFTONE_API_KEYS: 'a:fifteen-chars-x'.slice(0, 16) }, 'HALFTONE_API_KEYS', /16 or more/],
    ['a key without name', { HALFTONE_API_KEYS: secret32 }, 'HALFTONE_API_KEYS', /name:secret/],
    ['one name twice', { HALFTONE_API_KEYS: `a:${secret32},a:${secret32}2` }, 'HALFTONE_API_KEYS', /twice/],
    ['one secret twice', { HALFTONE_API_KEYS: `a:${secret32},b:${secret32}` }, 'HALFTONE_API_KEYS', /twice/],
    [
      'a short JWT secret',
      { HALFTONE_JWT_SECRET: secret32.slice(1), HALFTONE_JWT_ISSUER: 'i' },
      'HALFTONE_JWT_SECRET',
      /32 bytes/,
    ],
    [
      'one too short for its hash',
      { HALFTONE_JWT_SECRET: secret32, HALFTONE_JWT_ALGORITHMS: 'HS512' },
      'HALFTONE_JWT_SECRET',
      /64 bytes/,
    ],
    [
      'an algorithm without signature',
      { HALFTONE_JWT_SECRET: secret32, HALFTONE_JWT_ALGORITHMS: 'none' },
      'HALFTONE_JWT_ALGORITHMS',
      /HS256/,
    ],
    [
      'a public algorithm with a secret',
      { HALFTONE_JWT_SECRET: secret32, HALFTONE_JWT_ALGORITHMS: 'HS256,RS256' },
      'HALFTONE_JWT_ALGORITHMS',
      /got RS256/,
    ],
    ['a key set in the clear', { HALFTONE_JWT_JWKS_URL: 'http://id.example/keys' }, 'HALFTONE_JWT_JWKS_URL', /https/],
    [
      'a key set behind a name like a loopback address',
      { HALFTONE_JWT_JWKS_URL: 'http://127.example.com/k' },
      'HALFTONE_JWT_JWKS_URL',
      /https/,
    ],
    [
      'a key set for any audience',
      { HALFTONE_JWT_JWKS_URL: 'https://id.example/k', HALFTONE_JWT_ISSUER: 'i' },
      'HALFTONE_JWT_AUDIENCE',
      /beside/,
    ],
    [
      'a key set of any issuer',
      { HALFTONE_JWT_JWKS_URL: 'https://id.example/k', HALFTONE_JWT_AUDIENCE: 'a' },
      'HALFTONE_JWT_ISSUER',
      /beside/,
    ],
    ['an issuer for nothing', { HALFTONE_JWT_ISSUER: 'i' }, 'HALFTONE_JWT_ISSUER', /got neither/],
    ['an origin with a path', { HALFTONE_API_ORIGINS: 'https://a.example/x' }, 'HALFTONE_API_ORIGINS', /origins/],
    ['any origin among others', { HALFTONE_API_ORIGINS: '*,https://a.example' }, 'HALFTONE_API_ORIGINS', /origins/],
    ['a proxy that is no address', { HALFTONE_TRUSTED_PROXIES: 'loopback' }, 'HALFTONE_TRUSTED_PROXIES', /CIDR/],
    [
      'a proxy that is everybody',
      { HALFTONE_TRUSTED_PROXIES: '10.0.0.1,0.0.0.0/0' },
      'HALFTONE_TRUSTED_PROXIES',
      /not all/,
    ],
    ['another store', { HALFTONE_UPLOADS: 'gs://x' }, 'HALFTONE_UPLOADS', /s3:/],
    [
      'a type that cannot be decoded',
      { HALFTONE_UPLOAD_TYPES: 'image/jpeg,application/pdf' },
      'HALFTONE_UPLOAD_TYPES',
      /image\/jpeg/,
    ],
    [
      'more pixels than are rendered',
      { HALFTONE_UPLOAD_MAX_MEGAPIXELS: '200' },
      'HALFTONE_UPLOAD_MAX_MEGAPIXELS',
      /HALFTONE_MAX_MEGAPIXELS/,
    ],
    ['a life beyond the longest', { HALFTONE_SIGNED_URL_SECONDS: '604801' }, 'HALFTONE_SIGNED_URL_SECONDS', /MAX/],
    [
      'parts larger than the files they are for',
      { HALFTONE_UPLOAD_PART_MB: '33' },
      'HALFTONE_UPLOAD_PART_MB',
      /PARTS_FROM/,
    ],
    [
      'a webhook without secret',
      { HALFTONE_WEBHOOK_URL: 'https://a.example' },
      'HALFTONE_WEBHOOK_SECRET',
      /only the other/,
    ],
    ['a secret without webhook', { HALFTONE_WEBHOOK_SECRET: whsec }, 'HALFTONE_WEBHOOK_URL', /only the other/],
    [
      'a webhook secret of another form',
      { HALFTONE_WEBHOOK_URL: 'https://a.example', HALFTONE_WEBHOOK_SECRET: 'hunter2' },
      'HALFTONE_WEBHOOK_SECRET',
      /whsec_/,
    ],
    [
      'a webhook with credentials in its address',
      { HALFTONE_WEBHOOK_URL: 'https://u:hunter@a.example', HALFTONE_WEBHOOK_SECRET: whsec },
      'HALFTONE_WEBHOOK_URL',
      /without credentials/,
    ],
    ['a scanner without port', { HALFTONE_CLAMAV: 'clamav' }, 'HALFTONE_CLAMAV', /host:port/],
  ])('a fault, and only one: %s', (_what, env, name, wanted) => {
    const faults = faultsOf(env)
    expect(Object.keys(faults)).toEqual([name])
    expect(faults[name]).toMatch(wanted)
    expect(faults[name]).not.toContain('hunter2')
  })
})

describe('HALFTONE_PROJECTS_FILE', () => {
  async function envWith(projects: unknown, env: Env = {}): Promise<Env> {
    await writeFile(join(cwd, 'projects.json'), JSON.stringify({ projects }))
    return { ...env, HALFTONE_PROJECTS_FILE: 'projects.json' }
  }
  const projectsWith = async (projects: unknown, env?: Env): Promise<Readonly<Record<string, ProjectConfig>>> =>
    uploadsOf(await envWith(projects, env)).projects

  test('what a project says counts, the rest comes from the settings', async () => {
    const projects = await projectsWith(
      {
        shop: {
          types: ['image/png'],
          maxMB: 2,
          maxMegapixels: 3,
          quota: { maxMB: 4, objects: null },
          uploadsPerMinute: { owner: 5 },
          visibility: 'public',
          kinds: { cover: { maxMB: 1, minWidth: 10, aspect: { ratio: 2, tolerance: 0.1 }, animated: false } },
          webhook: { url: 'https://shop.example/hook', secret: { env: 'SHOP_SECRET' } },
        },
        plain: {},
      },
      {
        HALFTONE_UPLOAD_MAX_MB: '7',
        HALFTONE_UPLOAD_QUOTA_OBJECTS: '8',
        HALFTONE_UPLOAD_QUOTA_OPEN: '9',
        HALFTONE_PUBLIC_UPLOADS: 'true',
        SHOP_SECRET: whsec,
      },
    )
    expect(projects['shop']).toEqual({
      types: ['image/png'],
      maxBytes: 2_000_000,
      maxPixels: 3_000_000,
      quota: { bytes: 4_000_000, objects: undefined, openUploads: 9 },
      uploadsPerMinute: { owner: 5, address: 120 },
      publicUploads: false,
      visibility: 'public',
      kinds: { cover: { maxBytes: 1_000_000, minWidth: 10, aspect: { ratio: 2, tolerance: 0.1 }, animated: false } },
      webhook: { url: 'https://shop.example/hook', secret: whsec },
    })
    expect(projects['plain']).toMatchObject({ maxBytes: 7_000_000, quota: { objects: 8 }, publicUploads: false })
    expect(projects['default']).toMatchObject({ maxBytes: 7_000_000, publicUploads: true })
    expect(Object.keys(projects['plain']?.kinds ?? {})).toEqual(['avatar', 'banner'])
  })

  test('the webhook of the settings can be taken off a project', async () => {
    const env = { HALFTONE_WEBHOOK_URL: 'https://a.example/hook', HALFTONE_WEBHOOK_SECRET: whsec }
    const projects = await projectsWith({ quiet: { webhook: null }, loud: {} }, env)
    expect(projects['quiet']?.webhook).toBeUndefined()
    expect(projects['loud']?.webhook?.url).toBe('https://a.example/hook')
  })

  test('the example that is shipped is a good one', async () => {
    const text = await readFile(resolve(import.meta.dirname, '../../../config/projects.example.json'), 'utf8')
    const { projects } = JSON.parse(text) as { projects: object }
    expect(Object.keys(await projectsWith(projects, { COMMUNITY_WEBHOOK_SECRET: whsec }))).toContain('community')
  })

  test.each<[string, unknown, string, RegExp]>([
    ['a misspelt key', { shop: { maxMb: 2 } }, 'projects.shop', /did you mean maxMB/],
    ['a wrong type', { shop: { maxMB: '2' } }, 'projects.shop.maxMB', /expected number.*got "2"/],
    [
      'a number out of range',
      { shop: { uploadsPerMinute: { owner: 0 } } },
      'projects.shop.uploadsPerMinute.owner',
      />=1.*got 0/,
    ],
    [
      'a type nobody decodes',
      { shop: { types: ['text/html'] } },
      'projects.shop.types[0]',
      /image\/jpeg.*got "text\/html"/,
    ],
    ['a name', { 'A b': {} }, 'projects', /name|key/i],
    [
      'sides that cross',
      { shop: { kinds: { a: { minWidth: 2, maxWidth: 1 } } } },
      'projects.shop.kinds.a.minWidth',
      /at most maxWidth/,
    ],
    ['an open project', { shop: { publicUploads: true } }, 'projects.shop.publicUploads', /default only/],
    [
      'the secret itself',
      { shop: { webhook: { url: 'https://a.example', secret: 'hunter2' } } },
      'projects.shop.webhook.secret',
      /\{"env"/,
    ],
    [
      'a secret that is nowhere',
      { shop: { webhook: { url: 'https://a.example', secret: { env: 'NOPE' } } } },
      'projects.shop.webhook.secret',
      /NOPE/,
    ],
    [
      'a secret of another form',
      { shop: { webhook: { url: 'https://a.example', secret: { env: 'BAD' } } } },
      'projects.shop.webhook.secret',
      /whsec_/,
    ],
  ])('%s is a fault that says where', async (_what, projects, place, wanted) => {
    const faults = faultsOf(await envWith(projects, { BAD: 'hunter2' }))
    const told = Object.entries(faults).map(([name, message]) => `${name}: ${message}`)
    expect(told).toHaveLength(1)
    expect(told[0]).toContain(`HALFTONE_PROJECTS_FILE ${place}`)
    expect(told[0]).toMatch(wanted)
    expect(told[0]).not.toContain('hunter2')
  })

  test('secrets of all kinds are redacted where the configuration is printed', async () => {
    const env = {
      HALFTONE_API_KEYS: `backend:${secret32}`,
      HALFTONE_JWT_SECRET: secret32,
      HALFTONE_WEBHOOK_URL: 'https://a.example/hook?token=hunter2',
      HALFTONE_WEBHOOK_SECRET: whsec,
      HALFTONE_MODERATION_URL: 'https://m.example/?token=hunter2',
      HALFTONE_MODERATION_SECRET: whsec,
    }
    const config = configOf(await envWith({ shop: {} }, env))
    for (const format of ['text', 'json'] as const) {
      const printed = printConfig(config, format)
      expect(printed).not.toContain('hunter2')
      expect(printed).not.toContain(whsec.slice(6))
      expect(printed).toContain('backend')
      expect(printed).toContain('https://a.example/hook')
    }
  })
})

test('a ban list that cannot be read is told with the other faults', async () => {
  for (const file of ['nothing-there', '.']) {
    const message = faultsOf({ HALFTONE_BAN_LIST_FILE: file }).HALFTONE_BAN_LIST_FILE
    expect(message).toContain('expected a readable file')
  }
  await writeFile(join(cwd, 'banned.txt'), '')
  expect(faultsOf({ HALFTONE_BAN_LIST_FILE: 'banned.txt' })).toEqual({})
})

test('a bucket whose region nobody tells is noticed', () => {
  const notices = (env: Env) => {
    const loaded = load({ HALFTONE_UPLOADS: 's3://pics', ...env })
    return loaded.ok ? loaded.notices.join() : ''
  }
  expect(notices({})).toMatch(/bucket pics, but S3_REGION is not set/)
  for (const env of [{ S3_REGION: 'x' }, { AWS_REGION: 'x' }, { S3_ENDPOINT: 'http://minio:9000' }] as Env[])
    expect(notices(env)).toBe('')
})
