import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Config } from '../../../src/config/config.ts'
import { formatFaults } from '../../../src/config/config-fault.ts'
import { loadConfig } from '../../../src/config/load-config.ts'

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
