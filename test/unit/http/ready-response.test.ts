import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { joinHead } from '../../../src/delivery/ready-head.ts'
import {
  createHeadWriter,
  ReadyResponse,
  takesReadyLines,
  type WriteHotHead,
} from '../../../src/http/ready-response.ts'

test('this Node takes ready lines; when it no longer does, hits are a fifth dearer until the way is found anew', () => {
  expect(takesReadyLines()).toBe(true)
})

const body = Buffer.from('a picture')
const head = [
  ...['Content-Type', 'image/avif', 'Content-Length', String(body.length), 'ETag', '"x"'],
  ...['Content-Disposition', 'inline; filename="a b.avif"', 'X-Request-Id', ''],
]
const notModifiedHead = ['ETag', '"x"', 'X-Request-Id', '']
const heads = {
  ...{ head, notModifiedHead },
  readyHead: joinHead(head.slice(0, -2)),
  readyNotModifiedHead: joinHead(notModifiedHead.slice(0, -2)),
}

/** Answers like a hit, with either writer. */
function serve(writeHead: WriteHotHead): Server {
  return createServer({ ServerResponse: ReadyResponse, keepAliveTimeout: 65_000 }, (request, response) => {
    const isMatch = request.headers['if-none-match'] === '"x"'
    const answer = () => {
      writeHead(response, isMatch ? 304 : 200, heads, `id${request.url}`)
      response.end(isMatch || request.method === 'HEAD' ? undefined : body)
    }
    if (request.url === '/late') setTimeout(answer, 50)
    else answer()
  }).listen(0, '127.0.0.1')
}

let servers: { ready: Server; listed: Server; plain: Server }
beforeAll(async () => {
  const plain: WriteHotHead = (response, status, _heads, id) => {
    const list = status === 304 ? notModifiedHead : head
    response.writeHead(status, [...list.slice(0, -1), id])
  }
  servers = { ready: serve(createHeadWriter()), listed: serve(createHeadWriter(false)), plain: serve(plain) }
  await Promise.all(Object.values(servers).map((server) => once(server, 'listening')))
})
afterAll(() => {
  for (const server of Object.values(servers)) {
    server.close()
    server.closeAllConnections()
  }
})

/** All that comes back until the connection ends, or nothing more comes; the order of fields does not count. */
async function speak(server: Server, text: string): Promise<{ messages: string[][]; ended: boolean }> {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').setEncoding('latin1')
  let heard = ''
  let ended = false
  socket.on('data', (chunk: string) => (heard += chunk)).on('end', () => (ended = true))
  socket.write(text)
  await Promise.race([once(socket, 'end'), new Promise((resolve) => setTimeout(resolve, 300))])
  socket.destroy()
  const messages = heard.split(/(?=HTTP\/1\.1 )/).map((message) => message.replace(/^Date: .*\r\n/m, 'Date\r\n'))
  return {
    messages: messages.map((message) => {
      const [head = '', rest = ''] = message.split('\r\n\r\n')
      const [status = '', ...fields] = head.split('\r\n')
      return [status, ...fields.sort(), rest]
    }),
    ended,
  }
}

const host = 'Host: x\r\n'
describe.each(['ready', 'listed'] as const)('the head that is %s', (way) => {
  test.each([
    ['GET', `GET / HTTP/1.1\r\n${host}\r\n`],
    ['HEAD', `HEAD / HTTP/1.1\r\n${host}\r\n`],
    ['304', `GET / HTTP/1.1\r\n${host}If-None-Match: "x"\r\n\r\n`],
    ['Connection: close', `GET / HTTP/1.1\r\n${host}Connection: close\r\n\r\n`],
    ['304 and close', `GET / HTTP/1.1\r\n${host}If-None-Match: "x"\r\nConnection: close\r\n\r\n`],
    ['HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n'],
    ['HTTP/1.0 and keep-alive', 'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n'],
    ['HTTP/1.0 and 304', 'GET / HTTP/1.0\r\nIf-None-Match: "x"\r\nConnection: keep-alive\r\n\r\n'],
    ['Expect', `GET / HTTP/1.1\r\n${host}Expect: 100-continue\r\n\r\n`],
    ['pipelining', ['/late', '/b', '/c'].map((path) => `GET ${path} HTTP/1.1\r\n${host}\r\n`).join('')],
  ])('%s: is what Node writes from a list', async (_name, text) => {
    const want = await speak(servers.plain, text)
    expect(await speak(servers[way], text)).toEqual(want)
    expect(want.messages.at(-1)?.[0]).toMatch(/^HTTP\/1\.1 (200|304) /)
  })
})
