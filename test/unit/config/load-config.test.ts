import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Config } from '../../../src/config/config.ts'
import { formatFaults } from '../../../src/config/config-fault.ts'
import { loadConfig } from '../../../src/config/load-config.ts'
import { printConfig } from '../../../src/config/print-config.ts'
import { describeSettings, settings } from '../../../src/config/settings.ts'
import type { Setting } from '../../../src/config/setting.ts'

let cwd = ''
beforeAll(async () => {
  cwd = await realpath(await mkdtemp(join(tmpdir(), 'halftone-config-')))
  await mkdir(join(cwd, 'photos'))
})
afterAll(() => rm(cwd, { recursive: true }))

type Env = Readonly<Record<string, string>>
const load = (env: Env) => loadConfig(env, { cwd, packageDir: join(cwd, 'package') })

function configOf(env: Env): Config {
  const loaded = load(env)
  if (!loaded.ok) throw new Error(formatFaults(loaded.faults))
  return loaded.config
}

function folderOf(config: Config): string | undefined {
  const [source] = config.sources
  return source?.kind === 'folder' ? source.folder : undefined
}

function faultsOf(env: Env): Record<string, string> {
  const loaded = load(env)
  return loaded.ok ? {} : Object.fromEntries(loaded.faults.map((fault) => [fault.name, fault.message]))
}

describe('without any setting', () => {
  test('the defaults of the contract are in force', () => {
    const config = configOf({})
    expect(config.server).toMatchObject({ host: '127.0.0.1', port: 8080, metricsPort: undefined, publicUrl: undefined })
    expect(config.dataDir).toBe(join(cwd, 'data'))
    expect(config.sources).toHaveLength(1)
    expect(config.sources[0]).toMatchObject({
      kind: 'folder',
      folder: join(cwd, 'package', 'samples'),
      host: undefined,
      pathPrefix: '/',
      visibility: 'public',
      signed: 'private',
      variants: { kind: 'exact' },
      maxBytes: 50_000_000,
    })
    expect(config.render).toMatchObject({ renderers: availableParallelism(), maxOutputSide: 8192, maxFrames: 256 })
    expect(config.cache).toMatchObject({ memoryBytes: 256 * 2 ** 20, diskBytes: 10_240 * 2 ** 20 })
    expect(config.signing).toEqual({ keys: [], imgixTokens: [] })
    expect(config.delivery.errorMaxAgeSeconds).toBe(60)
  })

  test('no number is missing, and nothing can be changed any more', () => {
    const config = configOf({})
    const seen = JSON.stringify(config, (_key, value: unknown) => (Number.isNaN(value) ? 'broken' : value))
    expect(seen).not.toContain('broken')
    for (const section of [config, config.server, config.render, config.cache, config.sources, config.sources[0]]) {
      expect(Object.isFrozen(section)).toBe(true)
    }
    const optional = ['metricsPort', 'publicUrl', 'host']
    for (const section of [
      config.server,
      config.render,
      config.cache,
      config.delivery,
      config.sources[0] ?? {},
      config,
    ]) {
      for (const [key, value] of Object.entries(section)) if (!optional.includes(key)) expect(value, key).toBeDefined()
    }
  })
})

test.each(
  Object.values(settings as Readonly<Record<string, Setting<unknown>>>).map((entry) => [entry.env, entry] as const),
)('%s: the default is a value that its own parser takes, and the row explains it', (_env, entry) => {
  if (entry.default !== undefined) expect(entry.value.parse(entry.default)).toBeDefined()
  expect(entry.default ?? entry.defaultText).toBeDefined()
  expect(entry.meaning).toMatch(/\.$/)
})

test('names are unique, and all but those shared with other programs begin with HALFTONE_', () => {
  const names = describeSettings().map((row) => row.env)
  expect(new Set(names).size).toBe(names.length)
  expect(names.filter((name) => !name.startsWith('HALFTONE_'))).toEqual([
    'PORT',
    'HOST',
    'S3_ENDPOINT',
    'S3_REGION',
    'S3_FORCE_PATH_STYLE',
    'DATABASE_URL',
  ])
})

describe('values', () => {
  test.each<[string, string, (config: Config) => unknown, unknown]>([
    ['PORT', '0', (c) => c.server.port, 0],
    ['HOST', '::1', (c) => c.server.host, '::1'],
    ['HALFTONE_PUBLIC_URL', 'https://img.example.com/', (c) => c.server.publicUrl, 'https://img.example.com'],
    ['HALFTONE_REQUEST_TIMEOUT_SECONDS', '2.5', (c) => c.server.requestTimeoutMs, 2500],
    ['HALFTONE_STALL_TIMEOUT_SECONDS', '1.5', (c) => c.server.stallTimeoutMs, 1500],
    ['HALFTONE_PIPELINED_REQUESTS', '3', (c) => c.server.maxPipelined, 3],
    ['HALFTONE_UNSENT_ANSWERS_MB', '2', (c) => c.server.maxUnsentBytes, 2_000_000],
    ['HALFTONE_SOURCE', 'photos', (c) => folderOf(c), () => join(cwd, 'photos')],
    ['HALFTONE_MAX_ORIGINAL_MB', '0.5', (c) => c.sources[0]?.maxBytes, 500_000],
    ['HALFTONE_MAX_MEGAPIXELS', '12.5', (c) => c.render.maxPixels, 12_500_000],
    ['HALFTONE_AVIF_MAX_MEGAPIXELS', '1', (c) => c.render.avifMaxPixels, 1_000_000],
    ['HALFTONE_RENDERERS', '3', (c) => c.render.renderers, 3],
    ['HALFTONE_MOZJPEG', '1', (c) => c.render.mozjpeg, true],
    ['HALFTONE_MEMORY_CACHE_MB', '1', (c) => c.cache.memoryBytes, 1_048_576],
    ['HALFTONE_STRICT', 'TRUE', (c) => c.sources[0]?.strict, true],
    ['HALFTONE_VARIANTS', 'presets-only', (c) => c.sources[0]?.variants, { kind: 'presets-only' }],
    ['HALFTONE_DEFAULT_PARAMS', 'auto=format&q=60', (c) => c.sources[0]?.defaultParams, 'auto=format&q=60'],
    ['HALFTONE_CORS_ORIGIN', 'https://shop.example', (c) => c.delivery.corsOrigin, 'https://shop.example'],
    ['HALFTONE_LOG_LEVEL', 'debug', (c) => c.log.level, 'debug'],
    ['HALFTONE_MAX_AGE_SECONDS', ' 5 ', (c) => c.sources[0]?.maxAgeSeconds, 5],
    ['HALFTONE_RENDERERS', '', (c) => c.render.renderers, availableParallelism()],
  ])('%s=%s', (name, text, pick, want) => {
    expect(pick(configOf({ [name]: text }))).toEqual(typeof want === 'function' ? (want as () => unknown)() : want)
  })

  test('ladders are sorted and free of repetition', () => {
    const config = configOf({
      HALFTONE_VARIANTS: 'snap',
      HALFTONE_SNAP_WIDTHS: '640, 320,640',
      HALFTONE_SNAP_QUALITIES: '75,50',
    })
    expect(config.sources[0]?.variants).toEqual({ kind: 'snap', widths: [320, 640], qualities: [50, 75] })
  })

  test('keys keep their order, and a secret may hold colons', () => {
    const config = configOf({ HALFTONE_SIGNING_KEYS: 'k2:new:er,k1:old', HALFTONE_IMGIX_TOKENS: 'a, b' })
    expect(config.signing).toEqual({
      keys: [
        { id: 'k2', secret: 'new:er' },
        { id: 'k1', secret: 'old' },
      ],
      imgixTokens: ['a', 'b'],
    })
  })
})

describe('faults', () => {
  test.each([
    ['PORT', '65536', 'whole number'],
    ['PORT', '8080x', 'whole number'],
    ['PORT', '1e3', 'whole number'],
    ['HOST', 'http://x', 'host name'],
    ['HALFTONE_PUBLIC_URL', 'https://x/path', 'origin'],
    ['HALFTONE_MAX_MEGAPIXELS', '-1', 'megapixels'],
    ['HALFTONE_STRICT', 'maybe', 'true or false'],
    ['HALFTONE_SIGNED', 'never', 'private, always'],
    ['HALFTONE_SNAP_WIDTHS', '100,,200', 'whole numbers'],
    ['HALFTONE_DEFAULT_PARAMS', '?w=1', 'without ?'],
    ['HALFTONE_DEFAULT_PARAMS', 'w=1&%73=abc', 'without s'],
    ['HALFTONE_CORS_ORIGIN', '*.example.com', 'origin'],
    ['HALFTONE_SOURCE', 'missing-folder', 'existing folder'],
    ['HALFTONE_SOURCES_FILE', 'missing.json', 'ENOENT'],
  ])('%s=%s says what was expected and what came', (name, text, expected) => {
    const message = faultsOf({ [name]: text })[name] ?? ''
    expect(message).toContain(expected)
    expect(message).toContain(text)
    expect(message).toMatch(/(Correct|Make|Remove)/)
  })

  test('all of them are told at once', () => {
    const faults = faultsOf({
      PORT: 'x',
      HALFTONE_RENDERERS: '0',
      HALFTONE_NOPE: '1',
      HALFTONE_SOURCE: 'missing',
      HALFTONE_SIGNED: 'always',
    })
    expect(Object.keys(faults).sort()).toEqual(
      ['HALFTONE_NOPE', 'HALFTONE_RENDERERS', 'HALFTONE_SIGNING_KEYS', 'HALFTONE_SOURCE', 'PORT'].sort(),
    )
  })

  test('an unknown name is refused, with the nearest that exists', () => {
    expect(faultsOf({ HALFTONE_SORUCE: 'x' }).HALFTONE_SORUCE).toContain('Did you mean HALFTONE_SOURCE?')
    expect(faultsOf({ HALFTONE_RENDERER: '2' }).HALFTONE_RENDERER).toContain('HALFTONE_RENDERERS')
    expect(faultsOf({ HALFTONE_COMPLETELY_DIFFERENT: 'x' }).HALFTONE_COMPLETELY_DIFFERENT).not.toContain('mean')
    expect(faultsOf({ PATH: '/bin', REDIS: 'x' })).toEqual({})
  })

  test.each(['s3://key:hunter2@bucket', 'https://user:hunter2@host/base', 'https://host/?token=hunter2'])(
    'a remote source with a secret in its address is refused without telling it: %s',
    (source) => {
      const message = faultsOf({ HALFTONE_SOURCE: source }).HALFTONE_SOURCE ?? ''
      expect(message).toContain('without credentials')
      expect(message).not.toContain('hunter2')
    },
  )

  test('a source of a kind that does not exist is told the kinds that do, without its address', () => {
    const message = faultsOf({ HALFTONE_SOURCE: 'ftp://key:hunter2@host' }).HALFTONE_SOURCE ?? ''
    expect(message).toMatch(/an existing folder, s3:\/\/bucket\/prefix, https:\/\/host\/base or web, got .* ftp:\/\//)
    expect(message).not.toContain('hunter2')
    expect(faultsOf({ HALFTONE_SOURCE: 'absent' }).HALFTONE_SOURCE).toContain('s3://bucket/prefix')
  })

  test.each([
    ['HALFTONE_PORT', 'PORT'],
    ['HALFTONE_HOST', 'HOST'],
    ['HALFTONE_S3_ENDPOINT', 'S3_ENDPOINT'],
    ['HALFTONE_S3_REGON', 'S3_REGION'],
    ['HALFTONE_METRICS_PORTS', 'HALFTONE_METRICS_PORT'],
  ])('%s is no setting, but %s is', (name, meant) => {
    expect(faultsOf({ [name]: '1' })).toEqual({ [name]: `is not a setting. Did you mean ${meant}?` })
  })

  test('DATABASE_URL names another database than the file, and what is none of PostgreSQL is refused without a word of it', () => {
    expect(configOf({}).database).toEqual({ file: join(cwd, 'data', 'halftone.sqlite') })
    const url = 'postgresql://app:s%40crt@db.example:5433/pictures?sslmode=verify-full'
    const loaded = load({ DATABASE_URL: url, HALFTONE_DATABASE_CONNECTIONS: '4', HALFTONE_DATABASE_SECONDS: '2.5' })
    const postgres = { url, connections: 4, statementTimeoutMs: 2500 }
    expect(loaded).toMatchObject({ ok: true, config: { database: { postgres } } })
    expect(loaded.ok && loaded.servingNotices).toEqual([expect.stringContaining('HALFTONE_UPLOADS=disk')])
    expect(loaded.ok && loaded.notices).toEqual([])
    const documented = { url, connections: 10, statementTimeoutMs: 15_000 }
    expect(configOf({ DATABASE_URL: url }).database).toEqual({ postgres: documented })
    expect(printConfig(configOf({ DATABASE_URL: url }), 'json')).toContain(
      '"postgresql://app@db.example:5433/pictures"',
    )
    expect(faultsOf({ DATABASE_URL: 'postgres:///pictures?host=/run/postgresql' })).toEqual({})
    for (const wrong of [
      ...['mysql://u:s3cret@db/p', 'postgres://u:s3cret@db', 'postgres://u:s3cret@db/', 'postgres:///p'],
      ...['postgres://u:100%@db/s3cret', 's3cret', 'postgres://u:s3cret@db:port/p'],
    ]) {
      const { DATABASE_URL = '' } = faultsOf({ DATABASE_URL: wrong })
      expect(DATABASE_URL).toMatch(/^expected postgres:\/\/user:password@host:port\/database/)
      expect(DATABASE_URL).not.toContain('s3cret')
    }
  })

  test.each([
    ['sslmod=verify-full', 'got sslmod. Did you mean sslmode?'],
    ['sslmode=verify_full', 'got verify_full. Did you mean verify-full?'],
    ['sslmode=', 'expected sslmode to be one of disable, prefer, require'],
    ['ssl=false', 'expected ssl to be one of true, 1, 0, no-verify, got false.'],
    ['sslrootcert=', 'expected a value of sslrootcert, got none'],
    ['channel_binding=require', 'got channel_binding. Remove it.'],
    ['application_name=a&constructor=1', 'got constructor. Remove it.'],
  ])('a parameter of DATABASE_URL that the driver would pass over is refused: %s', (parameters, said) => {
    expect(faultsOf({ DATABASE_URL: `postgres://u:p@db/p?${parameters}` }).DATABASE_URL).toContain(said)
  })

  test('parameters of DATABASE_URL that the driver reads are accepted, and what may be of a password is not told', () => {
    const tls = 'sslmode=verify-full&sslrootcert=/etc/ca.crt&sslcert=/etc/c.crt&sslkey=/etc/c.key'
    expect(faultsOf({ DATABASE_URL: `postgres://u:p@db/p?${tls}&application_name=a%20b&options=-c%20x%3Dy` })).toEqual(
      {},
    )
    const { DATABASE_URL = '' } = faultsOf({ DATABASE_URL: 'postgres://u:1/a?s3cret@db/p' })
    expect(DATABASE_URL).toContain('not shown')
    expect(DATABASE_URL).not.toContain('s3cret')
  })

  test('settings shared with other programs are only noticed when nothing reads them', () => {
    const loaded = load({ REDIS_URL: 'redis://:hunter2@host', AWS_PROFILE: 'x' })
    expect(loaded.ok && loaded.notices).toEqual(['REDIS_URL is set, but nothing reads it in this version'])
  })

  test.each([
    ['DATABASE_URI', 'DATABASE_URL'],
    ['DATABSE_URL', 'DATABASE_URL'],
    ['DATABASE_URL_FIEL', 'DATABASE_URL_FILE'],
    ['S3_ENDPIONT', 'S3_ENDPOINT'],
    ['S3_REGOIN', 'S3_REGION'],
  ])('%s may be of another program, and is only noticed: %s was meant', (name, meant) => {
    const loaded = load({ [name]: 'hunter2' })
    expect(loaded.ok && loaded.notices).toEqual([`${name} is not a setting. Did you mean ${meant}?`])
  })

  test('names of other programs, and near ones of settings that are there, are no notice', () => {
    const others = { DATABASE_USER: 'x', DATABASE_NAME: 'x', DATABASE_HOST: 'x', S3_BUCKET: 'x', S3_KEY: 'x' }
    const both = { S3_REGION: 'eu-west-1', S3_REGIONS: 'x' }
    const loaded = load({ ...others, ...both, DATABASE_URI: '' })
    expect(loaded.ok && loaded.notices).toEqual([])
  })

  test('what must be signed needs a key', () => {
    expect(faultsOf({ HALFTONE_VISIBILITY: 'private' }).HALFTONE_SIGNING_KEYS).toContain('default')
    expect(faultsOf({ HALFTONE_VISIBILITY: 'private', HALFTONE_IMGIX_TOKENS: 'token' })).toEqual({})
  })

  test('a renderer is not killed at work before it would be replaced after it', () => {
    const name = 'HALFTONE_RENDERER_MEMORY_LIMIT_MB'
    expect(faultsOf({ [name]: '512' })[name]).toContain('more than HALFTONE_RENDERER_MEMORY_MB (512), got 512')
    expect(faultsOf({ [name]: '513' })).toEqual({})
  })

  test('two listeners cannot share a port', () => {
    expect(Object.keys(faultsOf({ HALFTONE_METRICS_PORT: '8080' }))).toEqual(['HALFTONE_METRICS_PORT'])
  })
})

describe('secrets', () => {
  test('come from a file as well, without the newline at its end', async () => {
    await writeFile(join(cwd, 'keys'), 'k1:from-a-file\r\n')
    expect(configOf({ HALFTONE_SIGNING_KEYS_FILE: 'keys' }).signing.keys).toEqual([{ id: 'k1', secret: 'from-a-file' }])
  })

  test('cannot come from both, nor from a file that is missing, empty or something else', async () => {
    await writeFile(join(cwd, 'empty'), '\n')
    await writeFile(join(cwd, 'huge'), 'k:'.padEnd(70_000, 'x'))
    expect(faultsOf({ HALFTONE_SIGNING_KEYS_FILE: 'keys', HALFTONE_SIGNING_KEYS: 'k1:x' })).toHaveProperty(
      'HALFTONE_SIGNING_KEYS_FILE',
    )
    for (const file of ['nothing-there', 'empty', 'huge', '.']) {
      expect(faultsOf({ HALFTONE_SIGNING_KEYS_FILE: file }).HALFTONE_SIGNING_KEYS_FILE).toContain('readable file')
    }
  })

  test('only secrets have a file variant', () => {
    expect(faultsOf({ HALFTONE_RENDERERS_FILE: 'x' })).toHaveProperty('HALFTONE_RENDERERS_FILE')
  })

  test('are never echoed, neither in faults nor in the printed configuration', () => {
    for (const keys of ['hunter2', 'k1:hunter2,k1:hunter2', 'k 1:hunter2', ',k:hunter2', 'k:']) {
      const loaded = load({ HALFTONE_SIGNING_KEYS: keys, HALFTONE_IMGIX_TOKENS: 'hunter2,,' })
      expect(loaded.ok).toBe(false)
      expect(JSON.stringify(loaded)).not.toContain('hunter2')
    }
    const config = configOf({ HALFTONE_SIGNING_KEYS: 'k1:hunter2', HALFTONE_IMGIX_TOKENS: 'hunter2' })
    for (const format of ['text', 'json'] as const) {
      const printed = printConfig(config, format)
      expect(printed).not.toContain('hunter2')
      expect(printed).toContain('k1')
      expect(printed).toContain('(redacted)')
    }
    expect(JSON.parse(printConfig(config, 'json'))).toMatchObject({ server: { port: 8080, publicUrl: null } })
    expect(printConfig(config, 'text')).toContain('render.maxFrames = 256')
  })

  test('that are short are noticed without being shown', () => {
    const loaded = load({ HALFTONE_SIGNING_KEYS: 'k1:hunter2' })
    expect(loaded.ok && loaded.notices.join()).toMatch(/k1 is short/)
    expect(JSON.stringify(loaded.ok && loaded.notices)).not.toContain('hunter2')
  })
})

test('a data folder inside a source is noticed', () => {
  const inside = load({ HALFTONE_SOURCE: 'photos', HALFTONE_DATA_DIR: 'photos/data' })
  expect(inside.ok && inside.notices.join()).toMatch(/HALFTONE_DATA_DIR lies inside the folder of source default/)
  const beside = load({ HALFTONE_SOURCE: 'photos', HALFTONE_DATA_DIR: 'photos-data' })
  expect(beside.ok && beside.notices).toEqual([])
})
