import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { brotliCompressSync, constants, deflateSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ask } from '../helpers/ask.ts'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { startOriginServer, type Handler, type OriginServer } from '../helpers/http-origin-server.ts'
import { spawnHalftone } from '../helpers/spawn-halftone.ts'
import { startHalftone, type RunningHalftone } from '../helpers/start-halftone.ts'

let picture = Buffer.alloc(0)
let origin: OriginServer
let halftone: RunningHalftone

const limits = {
  HALFTONE_ALLOW_ADDRESSES: '127.0.0.1',
  HALFTONE_MAX_ORIGINAL_MB: '0.2',
  HALFTONE_ORIGINAL_CACHE_MB: '16',
  HALFTONE_SOURCE_CONNECT_SECONDS: '0.4',
  HALFTONE_SOURCE_FIRST_BYTE_SECONDS: '0.4',
  HALFTONE_SOURCE_IDLE_SECONDS: '0.4',
  HALFTONE_SOURCE_TIMEOUT_SECONDS: '1.5',
  HALFTONE_SOURCE_STATE_SECONDS: '0',
  HALFTONE_NEGATIVE_SECONDS: '0',
}

beforeAll(async () => {
  picture = Buffer.from(await drawGradientJpeg(60, 40))
  origin = await startOriginServer((_request, response) => void response.end())
  halftone = await startHalftone({ ...limits, HALFTONE_SOURCE: `${origin.url}/base`, HALFTONE_RENDERERS: '1' })
})
afterAll(async () => {
  await halftone.stop()
  await origin.close()
})

const good: Handler = (_request, response) =>
  void response.writeHead(200, { 'Content-Length': picture.length }).end(picture)
const status =
  (code: number, headers: Record<string, string> = {}): Handler =>
  (_request, response) =>
    void response.writeHead(code, headers).end('nothing to see')
const body =
  (bytes: () => Buffer, headers: Record<string, string> = {}): Handler =>
  (_request, response) =>
    void response.writeHead(200, headers).end(bytes())
const half = () => picture.subarray(0, picture.length >> 1)

// Made beforehand: packing them takes longer than the source is given for its first byte.
const gzipBomb = gzipSync(Buffer.alloc(50_000_000))
const brotliBomb = brotliCompressSync(Buffer.alloc(20_000_000), { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } })
const gzippedNothings = Buffer.concat(Array<Buffer>(15_000).fill(gzipSync('')))

let asked = 0
async function answerOf(handler: Handler) {
  origin.answer(handler)
  asked += 1
  const target = `/fault-${asked}.jpg?w=20`
  const answer = await ask(halftone, target)
  return { ...answer, target }
}

const faults: readonly (readonly [what: string, status: number, code: string, handler: Handler])[] = [
  ['never begins to answer', 504, 'source_first_byte_timeout', () => {}],
  [
    'stops in the middle',
    504,
    'source_stalled',
    (_request, response) => void response.writeHead(200, { 'Content-Length': picture.length }).write(half()),
  ],
  [
    'trickles',
    504,
    'source_timeout',
    (request, response) => {
      response.writeHead(200)
      const timer = setInterval(() => response.write('x'), 50)
      request.socket.once('close', () => clearInterval(timer))
    },
  ],
  [
    'trickles its head',
    504,
    'source_first_byte_timeout',
    (request) => {
      request.socket.write('HTTP/1.1 200 OK\r\n')
      const timer = setInterval(() => request.socket.write('X-More: 1\r\n'), 50)
      request.socket.once('close', () => clearInterval(timer))
    },
  ],
  [
    'ends before its announced length',
    502,
    'source_truncated',
    (request, response) => {
      response.writeHead(200, { 'Content-Length': picture.length, Connection: 'close' }).write(half())
      setTimeout(() => request.socket.end(), 20)
    },
  ],
  [
    'breaks off between chunks',
    502,
    'source_truncated',
    (request, response) => {
      response.writeHead(200).write(half())
      setTimeout(() => request.socket.end(), 20)
    },
  ],
  [
    'resets in the middle',
    502,
    'source_truncated',
    (request, response) => {
      response.writeHead(200, { 'Content-Length': picture.length }).write(half())
      setTimeout(() => request.socket.resetAndDestroy(), 20)
    },
  ],
  ['resets at once', 502, 'source_failed', (request) => void request.socket.resetAndDestroy()],
  ['closes at once', 502, 'source_failed', (request) => void request.socket.destroy()],
  ['speaks no HTTP', 502, 'source_failed', (request) => void request.socket.end('SSH-2.0-OpenSSH_9.2\r\n')],
  ['has a huge head', 502, 'source_failed', status(200, { 'X-Large': 'x'.repeat(40_000) })],
  ['sends a gzip bomb', 413, 'source_too_large', body(() => gzipBomb, { 'Content-Encoding': 'gzip' })],
  ['sends a brotli bomb', 413, 'source_too_large', body(() => brotliBomb, { 'Content-Encoding': 'br' })],
  [
    'sends compressed nothing without end',
    413,
    'source_too_large',
    body(() => gzippedNothings, { 'Content-Encoding': 'gzip' }),
  ],
  [
    'breaks off inside gzip',
    502,
    'source_truncated',
    body(() => gzipSync(picture).subarray(0, 200), { 'Content-Encoding': 'gzip' }),
  ],
  ['says gzip and sends none', 502, 'source_failed', body(() => picture, { 'Content-Encoding': 'gzip' })],
  [
    'compresses twice',
    502,
    'source_failed',
    body(() => gzipSync(gzipSync(picture)), { 'Content-Encoding': 'gzip, gzip' }),
  ],
  [
    'compresses with an unknown coding',
    502,
    'source_failed',
    body(() => picture, { 'Content-Encoding': 'constructor' }),
  ],
  ['announces too much', 413, 'source_too_large', status(200, { 'Content-Length': '9000000000' })],
  [
    'has no end',
    413,
    'source_too_large',
    (request, response) => {
      response.writeHead(200)
      const more = () => void (request.socket.destroyed || (response.write(Buffer.alloc(20_000)), setTimeout(more, 2)))
      more()
    },
  ],
  ['is larger than allowed', 413, 'source_too_large', body(() => Buffer.alloc(200_001, 1))],
  [
    'redirects in a circle',
    502,
    'source_redirects',
    (request, response) => void response.writeHead(302, { Location: request.url ?? '' }).end(),
  ],
  [
    'redirects for ever',
    502,
    'source_redirects',
    (request, response) => void response.writeHead(307, { Location: `${request.url ?? ''}x` }).end(),
  ],
  [
    'redirects once more than three times',
    502,
    'source_redirects',
    (request, response) =>
      request.url?.endsWith('xxxx') === true
        ? good(request, response)
        : void response.writeHead(302, { Location: `${request.url ?? ''}x` }).end(),
  ],
  ['redirects to a file', 403, 'source_url_refused', status(302, { Location: 'file:///etc/passwd' })],
  ['redirects to FTP', 403, 'source_url_refused', status(301, { Location: 'ftp://127.0.0.1/a.jpg' })],
  ['redirects to data', 403, 'source_url_refused', status(302, { Location: 'data:image/png;base64,AAAA' })],
  ['redirects to script', 403, 'source_url_refused', status(303, { Location: 'javascript:alert(1)' })],
  [
    'redirects with credentials',
    403,
    'source_url_refused',
    status(302, { Location: 'http://user:secret@127.0.0.1/a.jpg' }),
  ],
  ['redirects to the mail server', 403, 'source_url_refused', status(302, { Location: 'http://127.0.0.1:25/a.jpg' })],
  ['redirects to nonsense', 400, 'source_url_invalid', status(302, { Location: 'http://[:::]/' })],
  [
    'redirects to the metadata service',
    403,
    'source_address_refused',
    status(302, { Location: 'http://169.254.169.254/latest' }),
  ],
  ['redirects to a private address', 403, 'source_address_refused', status(308, { Location: '//10.0.0.1/a.jpg' })],
  ['redirects without saying where', 502, 'source_failed', status(302)],
  ['says 304 though nothing was asked', 502, 'source_failed', status(304)],
  ['says 500', 502, 'source_failed', status(500)],
  ['says 503', 502, 'source_failed', status(503, { 'Retry-After': '9' })],
  ['says 429', 502, 'source_failed', status(429)],
  ['says 418', 502, 'source_failed', status(418)],
  ['says 204', 502, 'source_failed', status(204)],
  ['sends a part', 502, 'source_failed', status(206, { 'Content-Range': 'bytes 0-1/9' })],
  ['says 404', 404, 'not_found', status(404)],
  ['says 410', 404, 'not_found', status(410)],
  ['says 401', 403, 'source_denied', status(401)],
  ['says 403', 403, 'source_denied', status(403)],
  [
    'sends a web page',
    422,
    'not_an_image',
    body(() => Buffer.from('<!doctype html><title>hi</title>'), { 'Content-Type': 'image/jpeg' }),
  ],
]

test('the log tells what an origin said that failed', async () => {
  await answerOf(status(500))
  const failed = () => halftone.logLines.filter((line) => line['event'] === 'request_failed').at(-1)
  await expect.poll(failed).toMatchObject({ code: 'source_failed', originStatus: 500 })
})

describe('a source that', () => {
  test.each(faults)(
    '%s is answered %i %s, and nothing broken is kept',
    async (_what, expectedStatus, code, handler) => {
      const { target, ...answer } = await answerOf(handler)
      expect(answer).toMatchObject({ status: expectedStatus, code })
      expect(answer.headers.get('cache-control')).toBe(
        expectedStatus >= 500 || expectedStatus === 403 ? 'no-store' : 'public, max-age=60',
      )
      expect(answer.headers.has('retry-after')).toBe(expectedStatus >= 500)
      // The web page is an original like any other: it is whole, and its freshness counts.
      if (code === 'not_an_image') return
      origin.answer(good)
      expect(await ask(halftone, target)).toMatchObject({ status: 200 })
    },
  )

  test.each<[string, Handler]>([
    ['compresses with gzip', body(() => gzipSync(picture), { 'Content-Encoding': 'gzip' })],
    ['compresses with deflate', body(() => deflateSync(picture), { 'Content-Encoding': 'Deflate' })],
    ['compresses with brotli', body(() => brotliCompressSync(picture), { 'Content-Encoding': 'br' })],
    ['says that it does not compress', body(() => picture, { 'Content-Encoding': 'identity' })],
    ['sends no length', body(() => picture)],
    [
      'redirects three times',
      (request, response) =>
        request.url?.endsWith('xxx') === true
          ? good(request, response)
          : void response.writeHead(302, { Location: `${request.url ?? ''}x` }).end('y'.repeat(100_000)),
    ],
    [
      'sends a hint first',
      (request, response) => response.writeEarlyHints({ link: '</a>; rel=preload' }, () => good(request, response)),
    ],
  ])('%s gives its picture', async (_what, handler) => {
    expect(await answerOf(handler)).toMatchObject({ status: 200 })
  })

  test('refuses connections is unreachable, one that hangs in them times out', async () => {
    const silent = createServer()
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const { port } = silent.address() as AddressInfo
    await new Promise((resolve) => silent.close(resolve))
    const other = await startHalftone({
      ...limits,
      HALFTONE_SOURCE: `http://127.0.0.1:${port}`,
      HALFTONE_RENDERERS: '1',
    })
    expect(await ask(other, '/a.jpg')).toMatchObject({ status: 502, code: 'source_unreachable' })
    await other.stop()
    const hanging = await startHalftone(
      { ...limits, HALFTONE_SOURCE: 'http://slow.example', HALFTONE_RENDERERS: '1' },
      { resolveHost: () => new Promise(() => {}) },
    )
    expect(await ask(hanging, '/a.jpg')).toMatchObject({ status: 504, code: 'source_connect_timeout' })
    await hanging.stop()
  })
})

describe('TLS', () => {
  let directory = ''
  let server: TlsServer
  let port = 0
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'halftone-tls-'))
    const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
    const names = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1']
    execFileSync('openssl', ['req', '-x509', ...kind, ...names, '-keyout', key, '-out', cert], { stdio: 'ignore' })
    server = createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, (request, response) => {
      if (request.url === '/down.jpg') response.writeHead(302, { Location: `${origin.url}/plain.jpg` }).end()
      else response.end(picture)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    port = (server.address() as AddressInfo).port
  })
  afterAll(() => {
    server.closeAllConnections()
    server.close()
    rmSync(directory, { recursive: true, force: true })
  })

  test('a certificate that nobody vouches for makes a source unreachable, whatever the environment says', async () => {
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
    const other = await startHalftone({
      ...limits,
      HALFTONE_SOURCE: `https://127.0.0.1:${port}`,
      HALFTONE_RENDERERS: '1',
    })
    try {
      expect(await ask(other, '/a.jpg')).toMatchObject({ status: 502, code: 'source_unreachable' })
    } finally {
      delete process.env['NODE_TLS_REJECT_UNAUTHORIZED']
      await other.stop()
    }
  })

  test('an own authority can be added, and a redirect does not lead out of TLS', async () => {
    origin.answer(good)
    const spawned = await spawnHalftone({
      ...limits,
      HALFTONE_SOURCE: `https://127.0.0.1:${port}`,
      HALFTONE_DATA_DIR: join(directory, 'data'),
      NODE_EXTRA_CA_CERTS: join(directory, 'cert.pem'),
    })
    try {
      const get = (target: string) => fetch(spawned.origin + target)
      expect((await get('/a.jpg?w=20')).status).toBe(200)
      const requests = origin.requests.length
      expect((await get('/down.jpg?w=20')).headers.get('x-error')).toBe('source_url_refused')
      expect(origin.requests).toHaveLength(requests)
    } finally {
      await spawned.kill('SIGTERM')
    }
  })
})

test('a source is asked below its base, without a query, without compression and by a name', async () => {
  origin.answer(good)
  await ask(halftone, '/a%20b/%C3%BC%2Bx%2525.jpg?w=20')
  const last = origin.requests.at(-1)
  expect(last?.url).toBe('/base/a%20b/%C3%BC%2Bx%2525.jpg')
  expect(last?.headers).toMatchObject({ 'accept-encoding': 'identity', 'user-agent': 'halftone' })
  expect(last?.headers['via']).toMatch(/^1\.1 halftone-[0-9a-f]{12}$/)
  expect(last?.headers['cookie']).toBeUndefined()
})

test('a request that has come back to where it started is refused', async () => {
  origin.answer(good)
  await ask(halftone, '/once.jpg?w=20')
  const via = origin.requests.at(-1)?.headers['via'] ?? ''
  expect(await ask(halftone, '/loop.jpg?w=20', { via: `1.0 other, ${via}` })).toMatchObject({
    status: 400,
    code: 'source_loop',
  })
  expect(await ask(halftone, '/loop.jpg?w=20', { via: '1.1 halftone-000000000000' })).toMatchObject({ status: 200 })
})

test('cookies of a source are not sent back', async () => {
  origin.answer((_request, response) => void response.writeHead(200, { 'Set-Cookie': 'a=b' }).end(picture))
  await ask(halftone, '/cookie-1.jpg?w=20')
  await ask(halftone, '/cookie-2.jpg?w=20')
  expect(origin.requests.at(-1)?.headers['cookie']).toBeUndefined()
})
