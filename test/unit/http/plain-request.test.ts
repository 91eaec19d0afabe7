import { createServer, type IncomingMessage } from 'node:http'
import { duplexPair } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readHitRequest, readPlainRequest } from '../../../src/http/plain-request.ts'

const read = (text: string, maxBytes = 16_384) => readPlainRequest(Buffer.from(text, 'latin1'), maxBytes)
const host = 'Host: img.example\r\n'

describe('a plain request', () => {
  test('is read as it stands', () => {
    const text = `GET /a%20b.jpg?w=1&sig=x HTTP/1.1\r\n${host}accept:image/avif, */*;q=0.1 \r\nIf-None-Match: "x"\r\nX-Request-Id:\tid-1\r\nConnection: Keep-Alive\r\nVia: 1.1 cdn\r\n\r\n`
    expect(read(text)).toMatchObject({
      ...{ method: 'GET', target: '/a%20b.jpg?w=1&sig=x', host: 'img.example', accept: 'image/avif, */*;q=0.1' },
      ...{ ifNoneMatch: '"x"', requestId: 'id-1', isSpecial: false },
    })
    expect(read(`HEAD / HTTP/1.1\r\n${host}\r\n`)).toMatchObject({ method: 'HEAD', target: '/' })
  })

  test.each(['Range: bytes=0-1', 'If-Modified-Since: x', 'Accept: a\r\nAccept: b', 'Host: other'])(
    'with %j is one for the long way',
    (field) => expect(read(`GET / HTTP/1.1\r\n${host}${field}\r\n\r\n`)).toMatchObject({ isSpecial: true }),
  )
})

test.each([
  ['half a head', `GET / HTTP/1.1\r\n${host}`],
  ['two requests', `GET / HTTP/1.1\r\n${host}\r\nGET / HTTP/1.1\r\n${host}\r\n`],
  ['bytes behind the head', `GET / HTTP/1.1\r\n${host}\r\nx`],
  ['an empty line before it', `\r\nGET / HTTP/1.1\r\n${host}\r\n`],
  ['no host', 'GET / HTTP/1.1\r\nA: b\r\n\r\n'],
  ['no field at all', 'GET / HTTP/1.1\r\n\r\n'],
  ['another method', `POST / HTTP/1.1\r\n${host}\r\n`],
  ['a method in lower case', `get / HTTP/1.1\r\n${host}\r\n`],
  ['HTTP/1.0', `GET / HTTP/1.0\r\n${host}\r\n`],
  ['HTTP/1.2', `GET / HTTP/1.2\r\n${host}\r\n`],
  ['an absolute target', `GET http://x/ HTTP/1.1\r\n${host}\r\n`],
  ['a fragment', `GET /a#b HTTP/1.1\r\n${host}\r\n`],
  ['a space in the target', `GET /a b HTTP/1.1\r\n${host}\r\n`],
  ['a byte above ASCII in the target', `GET /\xe9 HTTP/1.1\r\n${host}\r\n`],
  ['bare line feeds', `GET / HTTP/1.1\nHost: x\n\n`],
  ['a bare line feed in a value', `GET / HTTP/1.1\r\n${host}A: b\nC: d\r\n\r\n`],
  ['a bare carriage return', `GET / HTTP/1.1\r\n${host}A: b\rC: d\r\n\r\n`],
  ['a folded line', `GET / HTTP/1.1\r\n${host}A: b\r\n c\r\n\r\n`],
  ['a space before the colon', `GET / HTTP/1.1\r\nHost : x\r\n\r\n`],
  ['a name of nothing', `GET / HTTP/1.1\r\n${host}: x\r\n\r\n`],
  ['a line without a colon', `GET / HTTP/1.1\r\n${host}abc\r\n\r\n`],
  ['NUL', `GET / HTTP/1.1\r\n${host}A: \0\r\n\r\n`],
  ['a body by length', `GET / HTTP/1.1\r\n${host}Content-Length: 5\r\n\r\n`],
  ['a body of no length', `GET / HTTP/1.1\r\n${host}Content-Length: 0\r\n\r\n`],
  ['a body in chunks', `GET / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n`],
  ['an end of the connection', `GET / HTTP/1.1\r\n${host}Connection: close\r\n\r\n`],
  ['a list for the connection', `GET / HTTP/1.1\r\n${host}Connection: keep-alive, x\r\n\r\n`],
  ['an upgrade', `GET / HTTP/1.1\r\n${host}Upgrade: h2c\r\n\r\n`],
  ['an expectation', `GET / HTTP/1.1\r\n${host}Expect: 100-continue\r\n\r\n`],
])('%s is for Node to read', (_name, text) => expect(read(text)).toBeUndefined())

test('a head that is too long is for Node to refuse', () => {
  expect(read(`GET / HTTP/1.1\r\n${host}A: ${'a'.repeat(200)}\r\n\r\n`, 200)).toBeUndefined()
})

/** What Node makes of the bytes: every request that comes out, and whether it wants more of the last. */
async function askNode(text: string) {
  const requests: IncomingMessage[] = []
  const refused: Error[] = []
  const server = createServer((request, response) => {
    requests.push(request)
    response.end()
  }).on('clientError', (error) => refused.push(error))
  const [ours, nodes] = duplexPair()
  server.emit('connection', nodes)
  ours.resume().write(Buffer.from(text, 'latin1'))
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
  ours.destroy()
  nodes.destroy()
  return { requests, refused }
}

const token = fc.stringMatching(/^[\w!#$%&'*+.^`|~-]{1,12}$/)
const byte = (min: number, max: number) => fc.integer({ min, max }).map((code) => String.fromCharCode(code))
const value = fc.string({ unit: fc.oneof(byte(0x20, 0x7e), byte(0x80, 0xff), fc.constant('\t')), maxLength: 20 })
const known = fc.constantFrom(
  ...['Host', 'host', 'Accept', 'ACCEPT', 'If-None-Match', 'X-Request-Id', 'Range', 'Connection', 'Content-Length'],
  ...['Transfer-Encoding', 'Upgrade', 'Expect', 'Trailer', 'Via', 'Keep-Alive', 'TE'],
)
/** Mostly as it should be, or nothing would ever be plain. */
const mostly = (good: string, ...odd: string[]) =>
  fc.oneof({ weight: 30, arbitrary: fc.constant(good) }, { weight: 1, arbitrary: fc.constantFrom(...odd) })
const field = fc.tuple(fc.oneof(known, token), mostly(': ', ':', ' : ', ':\t'), value)
const head = fc
  .record({
    method: mostly('GET', 'HEAD', 'POST', 'get', 'CONNECT'),
    target: fc.oneof(
      fc.stringMatching(/^\/[!"$-~]{0,20}$/),
      mostly('/a?w=1', '*', 'http://x/', '/a b', '/\xff', '/a#b'),
    ),
    version: mostly('HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/1.1 '),
    fields: fc.array(fc.tuple(field, mostly('\r\n', '\n', '\r', '\r\n ', '\r\n\r\n')), { maxLength: 6 }),
    last: mostly('\r\n', '', '\n', '\r\nGET / HTTP/1.1\r\n'),
  })
  .map(({ method, target, version, fields, last }) => {
    const lines = fields.map(([[name, colon, text], lineEnd]) => `${name}${colon}${text}${lineEnd}`)
    return `${method} ${target} ${version}\r\nHost: x\r\n${lines.join('')}${last}`
  })
/** One byte of it replaced, left out or doubled. */
const broken = fc.tuple(head, fc.nat(), fc.string({ unit: byte(0, 0xff), maxLength: 2 })).map(([text, at, put]) => {
  const index = at % text.length
  return text.slice(0, index) + put + text.slice(index + 1)
})

test('whatever is found plain, Node reads in the same way: one request, the same fields, nothing left over', async () => {
  let plain = 0
  await fc.assert(
    fc.asyncProperty(fc.oneof(head, broken), async (text) => {
      const found = read(text)
      if (found === undefined) return
      plain += 1
      const { requests, refused } = await askNode(text)
      expect(refused).toEqual([])
      expect(requests).toHaveLength(1)
      const [request] = requests
      expect(request?.complete).toBe(true)
      expect(request && { ...readHitRequest(request), isFramed: false }).toEqual({ ...found, isFramed: false })
      expect(request?.headers.connection?.toLowerCase() ?? 'keep-alive').toBe('keep-alive')
    }),
    { numRuns: 3000 },
  )
  // Or the comparison would prove nothing.
  expect(plain).toBeGreaterThan(100)
}, 60_000)
