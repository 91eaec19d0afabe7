import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ask } from '../helpers/ask.ts'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { startOriginServer, type OriginServer } from '../helpers/http-origin-server.ts'
import { signTarget, testSigningKey } from '../helpers/sign-target.ts'
import { spawnHalftone } from '../helpers/spawn-halftone.ts'
import { startHalftone, type RunningHalftone } from '../helpers/start-halftone.ts'

/*
 * Everything stays on loopback: the trap listens on all of it but for one address, 127.0.0.9, which alone is allowed and
 * has the origin. Names come from an injected resolver, so no question leaves the machine either.
 */
const allowedAddress = '127.0.0.9'

type Trap = { readonly port: number; connections: number; bytes: number; readonly server: Server }

let picture = Buffer.alloc(0)
let trap: Trap
let origin: OriginServer
let halftone: RunningHalftone
let resolutions: string[] = []

/** Names that resolve to what a test wants; each question takes the next answer, the last one stays. */
const names = new Map<string, string[][]>()

function resolveHost(hostname: string) {
  resolutions.push(hostname)
  const answers = names.get(hostname.replace(/\.$/, ''))
  const answer = (answers !== undefined && answers.length > 1 ? answers.shift() : answers?.[0]) ?? ['127.0.0.1']
  return Promise.resolve(answer.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })))
}

async function startTrap(): Promise<Trap> {
  const caught = { port: 0, connections: 0, bytes: 0, server: createServer() }
  caught.server.on('connection', (socket) => {
    caught.connections += 1
    socket.on('data', (chunk) => (caught.bytes += chunk.length))
    socket.on('error', () => {})
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret')
  })
  // Of both families, so that every spelling of loopback ends here.
  await new Promise<void>((resolve) => caught.server.listen(0, '::', resolve))
  caught.port = (caught.server.address() as AddressInfo).port
  return caught
}

const settings = {
  HALFTONE_SOURCE: 'web',
  HALFTONE_SIGNING_KEYS: testSigningKey,
  HALFTONE_ALLOW_ADDRESSES: allowedAddress,
  HALFTONE_SOURCE_STATE_SECONDS: '0',
  HALFTONE_NEGATIVE_SECONDS: '0',
  HALFTONE_SOURCE_CONNECT_SECONDS: '1',
  HALFTONE_RENDERERS: '1',
}

beforeAll(async () => {
  picture = Buffer.from(await drawGradientJpeg(60, 40))
  trap = await startTrap()
  origin = await startOriginServer((_request, response) => void response.end(picture), allowedAddress)
  halftone = await startHalftone(settings, { resolveHost })
})
afterAll(async () => {
  await halftone.stop()
  await origin.close()
  await new Promise((resolve) => trap.server.close(resolve))
})
beforeEach(() => {
  names.clear()
  resolutions = []
})

const fetchUrl = (url: string, query = '?w=20') => ask(halftone, signTarget(`/${encodeURIComponent(url)}${query}`))
const redirectTo = (location: string) =>
  origin.answer(
    (_request, response) =>
      void response.writeHead(302, { Location: Buffer.from(location, 'utf8').toString('latin1') }).end(),
  )

/** Hosts that are this machine, as clients, parsers and systems spell them. */
const spellings = [
  ...[
    '127.0.0.1',
    '127.0.0.1.',
    '127.0.0.2',
    '127.255.255.254',
    '127.1',
    '127.0.1',
    '127.00.00.01',
    '0.0.0.0',
    '0',
    '0x0',
  ],
  ...[
    '0x7f.1',
    '0x7F.0x0.0x0.0x1',
    '0x7f000001',
    '0X7F000001',
    '2130706433',
    '017700000001',
    '0177.0.0.1',
    '0177.0.0.01',
  ],
  ...['127.0x1', '127.0.0x1', '0x7f.0.1', '%31%32%37.0.0.1', '127%2e0%2e0%2e1', '127.0.0.%31'],
  ...[
    '１２７.0.0.1',
    '１２７．０．０．１',
    '①②⑦.⓪.⓪.①',
    '127。0。0。1',
    '127．0．0．1',
    '１２７。１',
    '０x7f.1',
    '𝟏𝟐𝟕.𝟎.𝟎.𝟏',
  ],
  ...[
    '[::1]',
    '[0:0:0:0:0:0:0:1]',
    '[0000::0001]',
    '[::]',
    '[::0]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[::FFFF:7F00:0001]',
  ],
  ...['[0:0:0:0:0:ffff:127.0.0.1]', '[::127.0.0.1]', '[::7f00:1]', '[::ffff:0:127.0.0.1]', '[64:ff9b::127.0.0.1]'],
  ...['[64:ff9b:1::7f00:1]', '[2002:7f00:1::]', '[2001:0:7f00:1::80ff:fffe]', '[::ffff:0.0.0.0]'],
  ...[
    'localhost',
    'LOCALHOST',
    'localhost.',
    'ⓛocalhost',
    'ｌｏｃａｌｈｏｓｔ',
    'l\u00adocalhost',
    'foo.localhost',
    'localhost.localdomain',
  ],
  ...['ip6-localhost', 'localtest.example', '127.0.0.1.nip.example', 'xn--fake.example', 'trap%2eexample'],
]

describe('no spelling of this machine is connected to', () => {
  test.each(spellings)('%s', async (host) => {
    const url = `http://${host}:${trap.port}/a.jpg`
    const direct = await fetchUrl(url)
    redirectTo(url)
    const redirected = await fetchUrl(`http://${allowedAddress}:${origin.port}/to-${encodeURIComponent(host)}.jpg`)
    for (const answer of [direct, redirected]) {
      expect(answer.status === 403 || answer.status === 400).toBe(true)
      expect(['source_address_refused', 'source_url_invalid', 'source_url_refused']).toContain(answer.code)
      expect(answer.body.toString()).not.toContain('secret')
    }
    expect(trap).toMatchObject({ connections: 0, bytes: 0 })
  })

  test('sixty vectors and more, each direct and by redirect', () => expect(spellings.length).toBeGreaterThan(60))

  test.each([
    'http://127.0.0.1:PORT\\@example.org/',
    'http:\\\\127.0.0.1:PORT\\a.jpg',
    'http:/127.0.0.1:PORT/a.jpg',
    'http:127.0.0.1:PORT/a.jpg',
    'http:///////127.0.0.1:PORT/a.jpg',
    'ht\ntp://127.0.0.1:PORT/a.jpg',
    'http://127.0.0.1\t:PORT/a.jpg',
    'http://example.org#@127.0.0.1:PORT/',
    'http://127.0.0.1:PORT#.example.org/',
    'http://127.0.0.1:PORT?.example.org/',
    'http://[::1%25lo]:PORT/',
    'HTTP://127.0.0.1:PORT/a.jpg',
    'https://127.0.0.1:PORT/a.jpg',
  ])('%j', async (pattern) => {
    names.set('example.org', [['127.0.0.1']])
    const answer = await fetchUrl(pattern.replace('PORT', String(trap.port)))
    expect([400, 403]).toContain(answer.status)
    expect(trap).toMatchObject({ connections: 0, bytes: 0 })
  })

  test.each([
    'http://user@HOST/a.jpg',
    'http://user:password@HOST/a.jpg',
    'http://:password@HOST/a.jpg',
    'ftp://HOST/a.jpg',
    'file:///etc/passwd',
    'gopher://HOST/_GET',
    'data:image/png;base64,AAAA',
    'unix:/var/run/docker.sock',
  ])('%s is no URL to fetch from, neither direct nor by redirect', async (pattern) => {
    const url = pattern.replace('HOST', `${allowedAddress}:${trap.port}`)
    expect([400, 403]).toContain((await fetchUrl(url)).status)
    redirectTo(url)
    const redirected = await fetchUrl(`http://${allowedAddress}:${origin.port}/by-redirect.jpg`)
    expect(redirected).toMatchObject({ status: 403, code: 'source_url_refused' })
    expect(trap).toMatchObject({ connections: 0, bytes: 0 })
  })
})

test.each([1, 22, 25, 110, 1023])('port %i of an allowed host is not for pictures', async (port) => {
  expect(await fetchUrl(`http://${allowedAddress}:${port}/a.jpg`)).toMatchObject({
    status: 403,
    code: 'source_url_refused',
  })
})

describe('names', () => {
  const refusedAnswers = [
    ...['127.0.0.1', '127.0.0.8', '0.0.0.0', '::1', '::', '::ffff:127.0.0.1', '::ffff:7f00:1', '::127.0.0.1'],
    ...[
      '64:ff9b::7f00:1',
      '10.0.0.1',
      '169.254.169.254',
      '100.100.100.200',
      'fd00:ec2::254',
      'fe80::1',
      '168.63.129.16',
    ],
  ]
  test.each(refusedAnswers)('a name that resolves to %s is refused', async (address) => {
    names.set('evil.example', [[address]])
    expect(await fetchUrl(`http://evil.example:${trap.port}/a.jpg`)).toMatchObject({
      status: 403,
      code: 'source_address_refused',
    })
    expect(trap.connections).toBe(0)
  })

  test('of several addresses only those that are let through are tried', async () => {
    names.set('mixed.example', [['127.0.0.1', '::1', allowedAddress, '0.0.0.0']])
    origin.answer((_request, response) => void response.end(picture))
    expect(await fetchUrl(`http://mixed.example:${origin.port}/mixed.jpg`)).toMatchObject({ status: 200 })
    expect(trap.connections).toBe(0)
  })

  test('rebinding between check and connection has no gap to use: one question, and its answer is connected to', async () => {
    names.set('rebind.example', [[allowedAddress], ['127.0.0.1']])
    origin.answer((_request, response) => void response.writeHead(200, { Connection: 'close' }).end(picture))
    expect(await fetchUrl(`http://rebind.example:${origin.port}/first.jpg`)).toMatchObject({ status: 200 })
    expect(resolutions).toEqual(['rebind.example'])
    expect(await fetchUrl(`http://rebind.example:${trap.port}/second.jpg`)).toMatchObject({
      code: 'source_address_refused',
    })
    expect(trap.connections).toBe(0)
  })

  test('rebinding between the hops of a redirect is seen', async () => {
    names.set('hops.example', [[allowedAddress], ['::1']])
    redirectTo(`http://hops.example:${trap.port}/a.jpg`)
    expect(await fetchUrl(`http://hops.example:${origin.port}/a.jpg`)).toMatchObject({ code: 'source_address_refused' })
    expect(trap.connections).toBe(0)
  })
})

test('where the system connects elsewhere than it was told, nothing is sent', async () => {
  // Linux connects 0.0.0.0 to loopback: let through by its number, refused by where it ended.
  const careless = await startHalftone({ ...settings, HALFTONE_ALLOW_ADDRESSES: '0.0.0.0' }, { resolveHost })
  try {
    const before = trap.connections
    const target = signTarget(`/${encodeURIComponent(`http://0.0.0.0:${trap.port}/a.jpg`)}?w=20`)
    expect(await ask(careless, target)).toMatchObject({ status: 403, code: 'source_address_refused' })
    expect(trap.connections).toBe(before + 1)
    expect(trap.bytes).toBe(0)
  } finally {
    await careless.stop()
    trap.connections = 0
  }
})

test('proxies of the environment are not used', async () => {
  const proxy = `http://127.0.0.1:${trap.port}`
  const variables = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy']
  origin.answer((_request, response) => void response.end(picture))
  const dataDir = mkdtempSync(join(tmpdir(), 'halftone-proxied-'))
  const process = await spawnHalftone({
    ...settings,
    ...Object.fromEntries(variables.map((name) => [name, proxy])),
    NODE_USE_ENV_PROXY: '1',
    HALFTONE_DATA_DIR: dataDir,
  })
  try {
    const target = signTarget(`/${encodeURIComponent(`http://${allowedAddress}:${origin.port}/proxied.jpg`)}?w=20`)
    expect((await fetch(process.origin + target)).status).toBe(200)
    expect(trap.connections).toBe(0)
  } finally {
    await process.kill('SIGTERM')
    rmSync(dataDir, { recursive: true, force: true })
  }
})

test('this very server is no origin, by any of its names', async () => {
  const named = await startHalftone(
    { ...settings, HALFTONE_PUBLIC_URL: 'https://img.example', HALFTONE_ALLOW_ADDRESSES: '127.0.0.0/8' },
    { resolveHost },
  )
  try {
    const own = new URL(named.origin).port
    names.set('by-another-name.example', [['127.0.0.1']])
    for (const url of ['https://img.example/a.jpg', 'https://IMG.example.:9/a.jpg'])
      expect(await ask(named, signTarget(`/${encodeURIComponent(url)}`))).toMatchObject({ code: 'source_loop' })
    // Under a name that nobody told it of it knows itself by Via.
    const loop = signTarget(`/${encodeURIComponent(`http://by-another-name.example:${own}/x.jpg`)}`)
    expect(await ask(named, loop)).toMatchObject({ status: 502, code: 'source_failed' })
    expect(named.logLines).toContainEqual(
      expect.objectContaining({ event: 'request', error: 'source_loop', status: 400 }),
    )
  } finally {
    await named.stop()
  }
})
