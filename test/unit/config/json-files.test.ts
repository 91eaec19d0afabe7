import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Config } from '../../../src/config/config.ts'
import { formatFaults } from '../../../src/config/config-fault.ts'
import { loadConfig } from '../../../src/config/load-config.ts'
import { printConfig } from '../../../src/config/print-config.ts'

let cwd = ''
beforeAll(async () => {
  cwd = await realpath(await mkdtemp(join(tmpdir(), 'halftone-json-')))
  await mkdir(join(cwd, 'conf', 'photos'), { recursive: true })
  await mkdir(join(cwd, 'shop'))
})
afterAll(() => rm(cwd, { recursive: true }))

type Env = Readonly<Record<string, string>>

async function loadWith(setting: string, content: unknown, env: Env = {}) {
  await writeFile(join(cwd, 'conf', 'file.json'), typeof content === 'string' ? content : JSON.stringify(content))
  return loadConfig({ ...env, [setting]: 'conf/file.json' }, { cwd, packageDir: join(cwd, 'package') })
}

async function configWith(setting: string, content: unknown, env: Env = {}): Promise<Config> {
  const loaded = await loadWith(setting, content, env)
  if (!loaded.ok) throw new Error(formatFaults(loaded.faults))
  return loaded.config
}

async function faultsWith(setting: string, content: unknown, env: Env = {}): Promise<string> {
  const loaded = await loadWith(setting, content, env)
  return loaded.ok ? '' : formatFaults(loaded.faults)
}

describe('HALFTONE_SOURCES_FILE', () => {
  const sources = (...entries: unknown[]) => ({ sources: entries })

  test('what an entry says counts, the rest comes from the settings; folders are relative to the file', async () => {
    const content = sources(
      { name: 'photos', folder: 'photos' },
      {
        name: 'shop',
        kind: 'folder',
        folder: '../shop',
        host: 'IMG.example.com',
        pathPrefix: '/products/',
        visibility: 'private',
        signed: 'always',
        strict: true,
        defaultParams: 'auto=format',
        variants: { kind: 'snap', widths: [640, 320] },
        immutable: true,
        maxAgeSeconds: 7,
        staleWhileRevalidateSeconds: 8,
        maxOriginalMB: 2,
      },
    )
    const env = { HALFTONE_MAX_AGE_SECONDS: '99', HALFTONE_SIGNING_KEYS: 'k:s', HALFTONE_SNAP_QUALITIES: '40,80' }
    const config = await configWith('HALFTONE_SOURCES_FILE', content, env)
    expect(config.sources[0]).toMatchObject({
      name: 'photos',
      folder: join(cwd, 'conf', 'photos'),
      maxAgeSeconds: 99,
      pathPrefix: '/',
    })
    expect(config.sources[1]).toEqual({
      name: 'shop',
      kind: 'folder',
      folder: join(cwd, 'shop'),
      host: 'img.example.com',
      pathPrefix: '/products',
      visibility: 'private',
      signed: 'always',
      strict: true,
      defaultParams: 'auto=format',
      variants: { kind: 'snap', widths: [320, 640], qualities: [40, 80] },
      immutable: true,
      maxAgeSeconds: 7,
      staleWhileRevalidateSeconds: 8,
      maxBytes: 2_000_000,
    })
  })

  test.each<[string, unknown, string[]]>([
    ['no JSON', '{"sources": [', ['JSON']],
    ['no sources', { sources: [] }, ['sources']],
    [
      'an unknown key',
      sources({ name: 'a', folder: 'photos', strcit: true }),
      ['sources[0]', 'strcit', 'did you mean strict?'],
    ],
    ['a wrong type', sources({ name: 'a', folder: 7 }), ['sources[0].folder', 'expected string', '7']],
    ['a missing folder', sources({ name: 'a', folder: 'nowhere' }), ['sources[0].folder', 'existing folder']],
    ['no name', sources({ folder: 'photos' }), ['sources[0].name', 'nothing']],
    ['a name with a slash', sources({ name: 'a/b', folder: 'photos' }), ['sources[0].name', 'a/b']],
    ['a kind that is none', sources({ name: 'a', kind: 'ftp' }), ['sources[0].kind', 'folder, s3, http or web']],
    [
      'a kind that was left out',
      sources({ name: 'a', url: 'http://a' }),
      ['sources[0]', '"url" (is there for another kind'],
    ],
    ['a key of another kind', sources({ name: 'a', kind: 's3', bucket: 'b', folder: 'x' }), ['sources[0]', '"folder"']],
    ['a prefix with dots', sources({ name: 'a', folder: 'photos', pathPrefix: 'photos' }), ['pathPrefix', '/photos']],
    ['a host with a port', sources({ name: 'a', folder: 'photos', host: 'x:80' }), ['sources[0].host', 'x:80']],
    [
      'a signature among the params',
      sources({ name: 'a', folder: 'photos', defaultParams: 'sig=x' }),
      ['defaultParams'],
    ],
    [
      'a ladder of nothing',
      sources({ name: 'a', folder: 'photos', variants: { kind: 'snap', widths: [] } }),
      ['widths'],
    ],
    [
      'two of one name',
      sources({ name: 'a', folder: 'photos' }, { name: 'a', folder: 'photos', host: 'b' }),
      ['sources[1].name'],
    ],
    [
      'two of one place',
      sources({ name: 'a', folder: 'photos' }, { name: 'b', folder: 'photos' }),
      ['sources[1]', 'pathPrefix'],
    ],
    [
      'private without a key',
      sources({ name: 'secretive', folder: 'photos', visibility: 'private' }),
      ['HALFTONE_SIGNING_KEYS', 'secretive'],
    ],
  ])('%s is refused with its place', async (_name, content, parts) => {
    const faults = await faultsWith('HALFTONE_SOURCES_FILE', content)
    for (const part of parts) expect(faults).toContain(part)
  })

  test('remote sources have their places, fallbacks and bounds; secrets come from the environment or from files', async () => {
    await writeFile(join(cwd, 'conf', 'secret.txt'), 'file-secret\n')
    const content = sources(
      {
        name: 'shop',
        kind: 'http',
        url: 'https://cdn.example/base/',
        authorization: { env: 'SHOP_TOKEN' },
        fallbacks: [
          {
            kind: 's3',
            bucket: 'shop-originals',
            prefix: '/a/b/',
            region: 'eu-central-1',
            credentials: { accessKeyId: { env: 'SHOP_KEY' }, secretAccessKey: { file: 'secret.txt' } },
          },
        ],
        fallbackWhenAbsent: true,
        breakerFailures: 2,
        breakerSeconds: 0.5,
        minFreshSeconds: 5,
        totalSeconds: 20,
        allowAddresses: ['10.0.0.0/8'],
        fetches: 3,
      },
      { name: 'web', kind: 'web', pathPrefix: '/web', allowHosts: ['*.example.org'] },
    )
    const env = {
      ...{
        SHOP_TOKEN: 'Bearer env-secret',
        SHOP_KEY: 'AK1',
        S3_ENDPOINT: 'http://store:9000',
        S3_FORCE_PATH_STYLE: '1',
      },
      ...{ HALFTONE_SIGNING_KEYS: 'k:a-long-enough-secret', HALFTONE_SOURCE_CONNECT_SECONDS: '1' },
    }
    const config = await configWith('HALFTONE_SOURCES_FILE', content, env)
    expect(config.sources[0]).toMatchObject({
      kind: 'http',
      origins: [
        { kind: 'http', url: 'https://cdn.example/base', authorization: 'Bearer env-secret' },
        {
          kind: 's3',
          bucket: 'shop-originals',
          prefix: 'a/b',
          endpoint: 'http://store:9000',
          region: 'eu-central-1',
          forcePathStyle: true,
          credentials: { accessKeyId: 'AK1', secretAccessKey: 'file-secret', sessionToken: undefined },
        },
      ],
      fallbackWhenAbsent: true,
      breaker: { failuresToOpen: 2, openMs: 500 },
      freshness: { minFreshSeconds: 5, maxFreshSeconds: 86_400, staleIfErrorSeconds: 604_800, negativeSeconds: 30 },
      limits: {
        connectTimeoutMs: 1000,
        firstByteTimeoutMs: 5000,
        idleTimeoutMs: 3000,
        totalTimeoutMs: 20_000,
        maxRedirects: 3,
      },
      allowAddresses: ['10.0.0.0/8'],
      fetches: 3,
    })
    expect(config.sources[1]).toMatchObject({ kind: 'web', origins: [{ kind: 'web', allowHosts: ['*.example.org'] }] })
    for (const printed of [printConfig(config, 'text'), printConfig(config, 'json')]) {
      expect(printed).toContain('shop-originals')
      expect(printed).not.toMatch(/env-secret|file-secret|AK1/)
    }
  })

  test('the shipped example is taken as it stands', async () => {
    const example = await readFile(join(import.meta.dirname, '../../../config/sources.example.json'), 'utf8')
    await mkdir(join(cwd, 'samples'), { recursive: true })
    const env = {
      ...{ SHOP_CDN_AUTHORIZATION: 'Bearer a', SHOP_S3_KEY: 'b', SHOP_S3_SECRET: 'c' },
      HALFTONE_SIGNING_KEYS: 'k:a-long-enough-secret',
    }
    const { sources } = await configWith('HALFTONE_SOURCES_FILE', example, env)
    expect(sources.map(({ name, kind }) => [name, kind])).toEqual([
      ['samples', 'folder'],
      ['shop', 'http'],
      ['archive', 's3'],
      ['partners', 'web'],
    ])
    expect(sources[1]).toMatchObject({ breaker: { failuresToOpen: 5, openMs: 10_000 }, fetches: 8 })
  })

  test.each([
    ['sources.example.json', 'docs/sources.md'],
    ['projects.example.json', 'docs/configuration.md'],
  ])('the variables that %s reads are told in %s', async (example, document) => {
    const [json, told] = await Promise.all(
      [`config/${example}`, document].map((path) => readFile(join(import.meta.dirname, '../../..', path), 'utf8')),
    )
    const names = [...(json ?? '').matchAll(/"env": "(\w+)"/g)].map((match) => String(match[1]))
    expect(names.length).toBeGreaterThan(0)
    for (const name of names) expect(told).toContain(name)
  })

  const http = { name: 'a', kind: 'http', url: 'https://host.example' }
  const s3 = { name: 'a', kind: 's3', bucket: 'b-1' }
  test.each<[string, unknown, string[]]>([
    ['an http source without a URL', { name: 'a', kind: 'http' }, ['sources[0].url']],
    [
      'a URL with credentials',
      { ...http, url: 'https://user:hunter2@host' },
      ['sources[0].url', 'without credentials'],
    ],
    ['a URL with a query', { ...http, url: 'https://host/?a=b' }, ['sources[0].url']],
    ['a URL of another scheme', { ...http, url: 'ftp://host' }, ['sources[0].url']],
    ['a secret in the file itself', { ...http, authorization: 'Bearer hunter2' }, ['authorization', '"env"']],
    [
      'a key in the file itself',
      { ...s3, credentials: { accessKeyId: 'hunter2', secretAccessKey: 'hunter2' } },
      ['accessKeyId'],
    ],
    ['credentials of half', { ...s3, credentials: { accessKeyId: { env: 'PATH' } } }, ['credentials.secretAccessKey']],
    ['a variable that is not set', { ...http, authorization: { env: 'NOT_SET' } }, ['authorization', 'NOT_SET']],
    ['a secret file that is not there', { ...http, authorization: { file: 'nowhere' } }, ['authorization', 'ENOENT']],
    ['a bucket with a slash', { ...s3, bucket: 'a/b' }, ['sources[0].bucket']],
    ['a block that is none', { ...http, allowAddresses: ['10.0.0.0/33'] }, ['allowAddresses[0]', '10.0.0.0/33']],
    ['a block with a name', { ...http, allowAddresses: ['localhost'] }, ['allowAddresses[0]']],
    ['a host with a scheme', { name: 'a', kind: 'web', allowHosts: ['https://x.example'] }, ['allowHosts[0]']],
    ['a host pattern with half a label', { name: 'a', kind: 'web', allowHosts: ['cdn*.example'] }, ['allowHosts[0]']],
    ['a host pattern for everything', { name: 'a', kind: 'web', allowHosts: ['**.*'] }, ['allowHosts[0]']],
    ['a web source without a key', { name: 'a', kind: 'web' }, ['HALFTONE_SIGNING_KEYS', 'source a']],
    ['fallbacks of a web source', { name: 'a', kind: 'web', fallbacks: [] }, ['sources[0]', 'fallbacks']],
    ['a breaker that never closes', { ...http, breakerSeconds: 1e9 }, ['sources[0].breakerSeconds']],
    ['a breaker of nothing', { ...http, breakerFailures: 0 }, ['sources[0].breakerFailures']],
    ['a folder as fallback', { ...http, fallbacks: [{ folder: 'photos' }] }, ['fallbacks[0]']],
    [
      'originals larger than their cache takes',
      { ...http, maxOriginalMB: 2000 },
      ['HALFTONE_ORIGINAL_CACHE_MB', '15259'],
    ],
  ])('%s is refused, without telling secrets', async (_name, entry, parts) => {
    const faults = await faultsWith('HALFTONE_SOURCES_FILE', sources(entry))
    for (const part of parts) expect(faults).toContain(part)
    expect(faults).not.toContain('hunter2')
  })

  test('does not go together with HALFTONE_SOURCE', async () => {
    const faults = await faultsWith('HALFTONE_SOURCES_FILE', sources({ name: 'a', folder: 'photos' }), {
      HALFTONE_SOURCE: 'shop',
    })
    expect(faults).toContain('both')
  })
})

describe('HALFTONE_PRESETS_FILE', () => {
  test('maps names to params', async () => {
    const presets = { card: 'w=400&h=300&fit=crop', 'hero-2': 'w=1600' }
    expect((await configWith('HALFTONE_PRESETS_FILE', presets)).presets).toEqual(presets)
  })

  test.each([{ 'a b': 'w=1' }, { card: '?w=1' }, { card: 'preset=card' }, { card: 'expires=1' }, { card: 7 }, ['w=1']])(
    'refuses %j',
    async (content) => {
      expect(await faultsWith('HALFTONE_PRESETS_FILE', content)).toContain('HALFTONE_PRESETS_FILE')
    },
  )

  test('the presets of the package are there by default', async () => {
    await mkdir(join(cwd, 'package', 'config'), { recursive: true })
    await writeFile(join(cwd, 'package', 'config', 'presets.json'), '{"card":"w=1"}')
    const loaded = loadConfig({}, { cwd, packageDir: join(cwd, 'package') })
    expect(loaded.ok && loaded.config.presets).toEqual({ card: 'w=1' })
  })
})
