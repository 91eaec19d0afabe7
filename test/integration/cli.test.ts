import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { commands } from '../../src/cli/commands.ts'
import { drawQuadrantsJpeg } from '../helpers/draw-picture.ts'
import { makePictureFolder } from '../helpers/picture-folder.ts'
import { bareEnvironment, builtEntry, runHalftone, type Ran } from '../helpers/run-halftone.ts'
import { spawnHalftone } from '../helpers/spawn-halftone.ts'
import { projectRoot, startHalftone } from '../helpers/start-halftone.ts'
import { pathOf, startUploads, targetOf, type UploadServer } from '../helpers/upload-api.ts'

let originals: ReturnType<typeof makePictureFolder>
let dataDir: string

beforeAll(async () => {
  originals = makePictureFolder({
    'photo.jpg': await drawQuadrantsJpeg(300, 200, { orientation: 6 }),
    'broken.jpg': 'no',
  })
  dataDir = mkdtempSync(join(tmpdir(), 'halftone-cli-'))
})
afterAll(() => {
  originals.remove()
  rmSync(dataDir, { recursive: true, force: true })
})

function run(args: readonly string[], settings: Record<string, string> = {}): Promise<Ran> {
  return runHalftone(args, { HALFTONE_SOURCE: originals.folder, HALFTONE_DATA_DIR: dataDir, ...settings })
}

describe('help', () => {
  test.each([['--help'], ['serve', '--help'], ['sign', '--help'], ['explain', '--help']])(
    'halftone %s %s',
    async (...args) => {
      const { code, stdout } = await run(args.filter((arg) => arg !== undefined))
      expect([code, stdout.startsWith('Usage: halftone')]).toEqual([0, true])
    },
  )

  test.each(Object.keys(commands))('what the row of %s loads is that command', async (name) => {
    const [program, add] = [new Command(), await commands[name]?.()]
    add?.(program)
    expect(program.commands.map((command) => command.name())).toEqual([name])
  })

  test('the version, help without a command and help for one', async () => {
    const { version } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as { version: string }
    expect(await run(['--version'])).toMatchObject({ code: 0, stdout: `${version}\n` })
    const all = await run(['help'])
    for (const name of Object.keys(commands)) expect(all.stdout).toMatch(new RegExp(`^  ${name}\\b`, 'm'))
    expect((await run(['help', 'audit'])).stdout).toContain('Usage: halftone audit')
  })

  test('a wrong command says where help is, with exit code 2', async () => {
    const { code, stderr } = await run(['sevre'])
    expect(code).toBe(2)
    expect(stderr).toMatch(/Did you mean serve|--help/)
  })
})

describe('sign', () => {
  const keys = {
    HALFTONE_SIGNING_KEYS: 'k1:a-secret-of-some-length',
    HALFTONE_SIGNED: 'always',
    HALFTONE_IMGIX_TOKENS: 'FOO123bar',
  }

  test('what it prints, the server accepts; nothing else', async () => {
    const halftone = await startHalftone({ HALFTONE_SOURCE: originals.folder, ...keys })
    try {
      for (const args of [
        ['sign', `${halftone.origin}/photo.jpg?w=40`],
        ['sign', `${halftone.origin}/photo.jpg`, '--expires-in', '60'],
        ['sign', `${halftone.origin}/photo.jpg?w=40`, '--imgix'],
      ]) {
        const { code, stdout } = await run(args, keys)
        expect(code).toBe(0)
        expect((await fetch(stdout.trim())).status).toBe(200)
        expect((await fetch(stdout.trim().replace(/.(?=.$)/, (char) => (char === 'a' ? 'b' : 'a')))).status).toBe(403)
      }
    } finally {
      await halftone.stop()
    }
  })

  test('a target alone, as JSON', async () => {
    const { stdout } = await run(['sign', '/photo.jpg?w=40', '--json'], keys)
    expect(JSON.parse(stdout)).toMatchObject({
      url: expect.stringMatching(/^\/photo\.jpg\?w=40&sig=[\w-]{43}$/) as string,
    })
  })

  test.each([
    [['sign', 'photo.jpg'], keys, 2, 'Expected https://host/path'],
    [['sign', '/photo.jpg'], {}, 2, 'HALFTONE_SIGNING_KEYS'],
    [['sign', '/photo.jpg', '--expires-in', 'soon'], keys, 2, 'whole number of seconds'],
  ] as const)('%j fails with its mend', async (args, settings, wantCode, wantText) => {
    const { code, stderr } = await run(args, settings)
    expect(code).toBe(wantCode)
    expect(stderr).toContain(wantText)
  })
})

describe('explain', () => {
  test('tells params, capabilities, plan and the reason for the format', async () => {
    const { code, stdout } = await run(['explain', '/photo.jpg?w=100&h=100&fit=crop&auto=format&q=x'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/original +jpeg 200x300, orientation 6/)
    expect(stdout).toMatch(/ignored +q=x \(expected/)
    expect(stdout).toMatch(/capabilities +avif, webp; Vary: Accept/)
    expect(stdout).toMatch(/plan +write avif quality=\d+/)
    expect(stdout).toMatch(/because +.*AVIF/i)
    expect(stdout).toMatch(/result +avif 100x100, \d+ bytes/)
  })

  test('for another client, as JSON, of a private picture', async () => {
    const { stdout } = await run(['explain', '/photo.jpg?w=100&auto=format', '--accept', '*/*', '--json'], {
      HALFTONE_SIGNING_KEYS: 'k1:a-secret-of-some-length',
      HALFTONE_SIGNED: 'always',
    })
    expect(JSON.parse(stdout)).toMatchObject({
      signature: 'required but missing',
      result: { format: 'jpeg', width: 100 },
      plan: { kind: 'render' },
    })
  })

  test('an expired URL is explained, too', async () => {
    const { stdout } = await run(['explain', '/photo.jpg?w=100&expires=1000'])
    expect(stdout).toMatch(/signature +expired[\s\S]*result +jpeg 100x/)
  })

  test.each([
    ['/absent.jpg?w=1', 'not_found'],
    ['/broken.jpg?w=1', 'not_an_image'],
  ])('%s says why not', async (target, code) => {
    expect(await run(['explain', target])).toMatchObject({ code: 1, stderr: expect.stringContaining(code) as string })
  })
})

describe('explain of an uploaded image', () => {
  let server: UploadServer
  let url = ''
  beforeAll(async () => {
    server = await startUploads()
    const { image } = await server.admin.upload(await drawQuadrantsJpeg(300, 200), { visibility: 'private' })
    url = image.url
  })
  afterAll(() => server.stop())
  const explain = (target: string) => run(['explain', target], { HALFTONE_DATA_DIR: server.dataDir })

  test('is as of any other, also of a private one whose URL is signed by a key of the server', async () => {
    const { stdout, stderr } = await explain(targetOf(url))
    expect(stdout, stderr).toMatch(/signature +valid[\s\S]*source +uploads \/img_\S+ [\s\S]*result +avif 300x200/)
    expect((await explain(`${pathOf(url)}?w=100`)).stdout).toMatch(
      /signature +required but missing: clients are refused[\s\S]*result +jpeg 100x/,
    )
  })

  test('says what it cannot tell', async () => {
    expect(await explain('/u/img_00000000000000000000000000')).toMatchObject({
      ...{ code: 1, stderr: expect.stringContaining('There is no such image') as string },
    })
    expect((await explain(`${pathOf(url)}?token=abc`)).stderr).toContain('without its token')
  })
})

describe('serve', () => {
  test('--json without it starts nothing', async () => {
    const { code, stderr } = await run(['serve', '--json'])
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('--print-config') as string })
  })

  test('--print-config shows no secret', async () => {
    const { code, stdout } = await run(['serve', '--print-config'], {
      HALFTONE_SIGNING_KEYS: 'k1:sesame-open-the-door',
      HALFTONE_IMGIX_TOKENS: 'sesame-two',
    })
    expect(code).toBe(0)
    expect(stdout).toContain(originals.folder)
    expect(stdout).not.toContain('sesame')
  })

  test.each(['/proc/halftone', '/dev/null/halftone', '/etc/hostname'])(
    'a data directory that cannot be written (%s) is told at start',
    async (directory) => {
      const { code, stderr } = await run(['serve'], { HALFTONE_DATA_DIR: directory })
      expect(code).toBe(2)
      expect(stderr).toMatch(/HALFTONE_DATA_DIR: .* cannot be written/)
    },
  )

  test('params that an operator wrote wrongly are told at start', async () => {
    originals.write('bad-presets.json', JSON.stringify({ card: 'w=abc&nonsense=3' }))
    const { code, stderr } = await run(['serve'], {
      HALFTONE_PRESETS_FILE: `${originals.folder}/bad-presets.json`,
      HALFTONE_DEFAULT_PARAMS: 'fit=sideways',
    })
    expect(code).toBe(2)
    for (const text of ['card', 'w=abc', 'nonsense', 'fit=sideways']) expect(stderr).toContain(text)
  })

  test('all faults of the configuration at once, with exit code 2', async () => {
    const { code, stderr } = await run(['serve'], { PORT: 'x', HALFTONE_RENDERER: '3', HALFTONE_SIGNED: 'maybe' })
    expect(code).toBe(2)
    expect(stderr).toMatch(/PORT[\s\S]*HALFTONE_SIGNED/)
    expect(stderr).toContain('Did you mean HALFTONE_RENDERERS?')
  })

  const banner = async (settings: Record<string, string>) => {
    const server = await spawnHalftone({ HALFTONE_DATA_DIR: dataDir, HALFTONE_RENDERERS: '1', ...settings })
    await expect.poll(() => server.output()).toContain('/v1/images')
    await server.kill('SIGTERM')
    return server.output()
  }

  test('the upload it greets with waits until the picture can be opened', async () => {
    expect(await banner({ HALFTONE_SOURCE: originals.folder })).toMatch(/curl .*'Prefer: wait=20'.*\/v1\/images/)
  })

  test('the first key is shown by the first start that listens, also after one whose port was taken', async () => {
    const settings = { HALFTONE_SOURCE: originals.folder, HALFTONE_DATA_DIR: join(dataDir, 'first') }
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const { port } = taken.address() as AddressInfo
    const failed = await run(['serve'], { ...settings, HOST: '127.0.0.1', PORT: String(port) })
    taken.close()
    expect(failed.code).toBe(1)
    expect(failed.stderr).toContain('another program listens there')
    expect(failed.stderr).not.toContain('hk_')

    expect(await banner(settings)).toMatch(/API key +hk_[a-z2-7]{52} /)
    const second = await banner(settings)
    expect(second).not.toContain('hk_')
    // Whoever missed it: the line is one that runs.
    const [, line = ''] = /an API key +HALFTONE_DATA_DIR=\S+ npm run --silent halftone -- (keys .*)/.exec(second) ?? []
    expect((await run(line.split(' '), settings)).stdout).toMatch(/^hk_/)
  }, 60_000)

  test('where no picture is shown without a signature, the greeting says how to get one', async () => {
    const settings = {
      HALFTONE_SOURCE: originals.folder,
      HALFTONE_SIGNED: 'always',
      HALFTONE_SIGNING_KEYS: 'main:a-secret-of-some-length-0123456789',
    }
    const [, url = ''] = / npm run --silent halftone -- sign '(\S+)'/.exec(await banner(settings)) ?? []
    expect((await run(['sign', url], settings)).stdout).toMatch(
      /^http:\/\/\S+:\d+\/path\/of\/picture\.jpg\?w=800&.*sig=/,
    )
  })

  test('an origin that can never be reached is told of at the start', async () => {
    expect(await banner({ HALFTONE_SOURCE: 'http://localhost:9' })).toMatch(
      /"source_address_refused".*"host":"localhost".*"setting":"HALFTONE_ALLOW_ADDRESSES"/,
    )
  })

  test('only who looks at the samples is told how to serve pictures of their own', async () => {
    expect(await banner({ HALFTONE_SOURCE: originals.folder })).not.toContain('HALFTONE_SOURCE=')
    expect(await banner({})).toContain('HALFTONE_SOURCE=')
  })
})

test('the doctor names the settings by which a bucket was asked', async () => {
  const settings = { HALFTONE_UPLOADS: 's3://pictures', AWS_CONFIG_FILE: '/nowhere' }
  await run(['migrate'])
  const { code, stderr } = await run(['doctor'], settings)
  expect(code).toBe(2)
  expect(stderr).toMatch(/bucket pictures of HALFTONE_UPLOADS: .*S3_REGION \(not set\).*AWS_ACCESS_KEY_ID/)
  expect(stderr).toMatch(/notice: HALFTONE_UPLOADS names the bucket pictures, but S3_REGION is not set/)
})

test('a server whose bucket cannot be used logs why, before the first upload', async () => {
  const settings = { HALFTONE_UPLOADS: 's3://pictures', AWS_CONFIG_FILE: '/nowhere', HALFTONE_RENDERERS: '1' }
  const server = await spawnHalftone({ HALFTONE_SOURCE: originals.folder, HALFTONE_DATA_DIR: dataDir, ...settings })
  await expect.poll(() => server.output(), { timeout: 10_000 }).toMatch(/"sweep_failed".*"cause":"Region is missing"/)
  await server.kill('SIGTERM')
}, 30_000)

test('a reader that has seen enough ends a command without a word', async () => {
  const child = spawn(process.execPath, [builtEntry, 'serve', '--print-config'], {
    cwd: projectRoot,
    env: bareEnvironment(),
  })
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  child.stdout.destroy()
  const [code] = (await once(child, 'close')) as [number]
  expect([code, stderr]).toEqual([0, ''])
})
