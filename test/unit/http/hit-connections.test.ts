import { once } from 'node:events'
import { Server } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { createUnsentAnswers } from '../../../src/http/unsent-answers.ts'
import type { HotLane } from '../../../src/delivery/hot-lane.ts'
import { takeConnections, type HitConnectionsDeps } from '../../../src/http/hit-connections.ts'
import { NodeExchange } from '../../../src/http/node-exchange.ts'

// The connection and Node's parser are real; what is known to the hot lane, and when a disk answers, is for each test to say.

type Stored = { readonly tier: string; readonly body: Buffer } | undefined
const answer = { lines: 'Content-Length: 10\r\n', notModifiedLines: '', etag: '"x"', factsJson: '', hitJson: '' }
const open: { close(): void }[] = []
afterEach(() => {
  for (const one of open.splice(0)) one.close()
})

/** `/hot` is in memory, `/large` too and larger than a kernel takes, `/stored` in a lower tier; Node answers with the target. */
async function serve(given: Partial<HitConnectionsDeps> = {}) {
  const large = Buffer.alloc(20_000_000, 'x')
  const reads: ((stored: Stored) => void)[] = []
  const broken: unknown[] = []
  const server = new Server({ keepAliveTimeout: 65_000 }, (request, response) => {
    if (request.socket instanceof NodeExchange) request.socket.returnAfter(response)
    response.end(`node ${request.url};`)
  })
  const hotLane: HotLane = {
    find: ({ target }) =>
      target === '/hot'
        ? { answer, body: Buffer.from('in memory;') }
        : target === '/large'
          ? { answer: { ...answer, lines: `Content-Length: ${large.length}\r\n` }, body: large }
          : undefined,
    findStored: ({ target }) =>
      target === '/stored'
        ? {
            ...{ resultKey: 'key', validUntilMs: Infinity, stillHolds: () => true },
            answer: { ...answer, lines: 'Content-Length: 8\r\n' },
          }
        : undefined,
    remember: () => {},
  }
  const hits = takeConnections(server, {
    hotLane,
    slowClients: {
      stallTimeoutMs: 5000,
      unsentAnswers: createUnsentAnswers({ maxBytes: 1_000_000_000, onCut: () => {} }),
    },
    onHot: () => {},
    freshId: () => 'id',
    readStored: () => new Promise<Stored>((resolve) => reads.push(resolve)),
    maxHeadBytes: 16_384,
    firstHeadTimeoutMs: 5000,
    onBroken: (error) => broken.push(error),
    ...given,
  })
  const sockets: Socket[] = []
  server.on('connection', (socket) => sockets.push(socket))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const client = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', noDelay: true })
  open.push({
    close() {
      client.destroy()
      server.close()
      server.closeAllConnections()
      for (const socket of sockets) socket.destroy()
    },
  })
  await once(client, 'connect')
  let heard = ''
  client.on('data', (chunk: Buffer) => (heard += chunk.toString('latin1').replace(/x{1000,}/g, '')))
  return {
    ...{ client, hits },
    reads,
    broken,
    say: (target: string, fields = '') => client.write(`GET ${target} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`),
    heard: () => heard,
    serverSide: () => sockets[0],
  }
}

const until = (check: () => boolean) => expect.poll(check, { timeout: 5000, interval: 5 }).toBe(true)
const bodiesIn = (text: string) => [...text.matchAll(/(in memory|on disk|node \/\w+);/g)].map(([, body]) => body)

test('what comes while a disk is asked waits, and is answered in order', async () => {
  const { say, reads, heard } = await serve()
  say('/stored')
  await until(() => reads.length === 1)
  say('/hot')
  await sleep(30)
  say('/one')
  await sleep(30)
  expect(heard()).toBe('')
  reads[0]?.({ tier: 'disk', body: Buffer.from('on disk;') })
  await until(() => bodiesIn(heard()).length === 3)
  expect(bodiesIn(heard())).toEqual(['on disk', 'in memory', 'node /one'])
})

test('and so it is when the disk has lost what it was asked for', async () => {
  const { say, reads, heard } = await serve()
  say('/stored')
  await until(() => reads.length === 1)
  for (const target of ['/two', '/three', '/hot']) {
    say(target)
    await sleep(20)
  }
  reads[0]?.(undefined)
  await until(() => bodiesIn(heard()).length === 4)
  expect(bodiesIn(heard())).toEqual(['node /stored', 'node /two', 'node /three', 'node /hot'])
})

test('a client that has said all still gets what a disk was asked for', async () => {
  for (const stored of [{ tier: 'disk', body: Buffer.from('on disk;') }, undefined]) {
    const { say, client, reads, heard } = await serve()
    say('/stored')
    await until(() => reads.length === 1)
    client.end()
    await sleep(20)
    reads[0]?.(stored)
    await once(client, 'close')
    expect(bodiesIn(heard())).toEqual([stored ? 'on disk' : 'node /stored'])
  }
})

test.each([
  ['the end of the connection', '/two', 'Connection: close\r\n'],
  ['a body', '/two', 'Content-Length: 0\r\n'],
])('a request that is not plain and waits for a large hit (%s) is answered next', async (_name, target, fields) => {
  const { say, client, heard } = await serve()
  client.pause()
  say('/large')
  await sleep(50)
  say(target, fields)
  await sleep(50)
  client.resume()
  await until(() => bodiesIn(heard()).length === 1)
  expect(bodiesIn(heard())).toEqual(['node /two'])
})

test('several that wait for a large hit keep their order', async () => {
  const { say, client, heard } = await serve()
  client.pause()
  say('/large')
  await sleep(50)
  const targets = ['/hot', '/one', '/hot', '/two', '/hot']
  for (const target of targets) {
    say(target)
    await sleep(10)
  }
  client.resume()
  await until(() => bodiesIn(heard()).length === 5)
  expect(bodiesIn(heard())).toEqual(['in memory', 'node /one', 'in memory', 'node /two', 'in memory'])
})

test('between requests a connection may be silent for as long as is told', async () => {
  const { say, heard, serverSide } = await serve()
  expect(serverSide()?.timeout).toBe(5000)
  say('/hot')
  await until(() => bodiesIn(heard()).length === 1)
  expect(heard()).toContain('Keep-Alive: timeout=65')
  await until(() => serverSide()?.timeout === 65_000)
})

test('what waits on a connection that is gone is not asked for', async () => {
  const asked: string[] = []
  const { say, client, serverSide } = await serve({ onHot: ({ requestId }) => asked.push(requestId) })
  client.pause()
  say('/large', 'X-Request-Id: large\r\n')
  await sleep(50)
  say('/hot', 'X-Request-Id: hot\r\n')
  await sleep(50)
  client.resetAndDestroy()
  await until(() => serverSide()?.destroyed === true)
  await sleep(20)
  expect(asked).toEqual(['large'])
})

test('at the end, what is idle can be cut alone, or everything', async () => {
  const { say, client, hits, serverSide } = await serve()
  client.pause()
  say('/large')
  await sleep(50)
  hits.closeIdle()
  expect(serverSide()?.destroyed).toBe(false)
  hits.closeAll()
  expect(serverSide()?.destroyed).toBe(true)
})

test('a bug in what waited harms its connection, too', async () => {
  let served = 0
  const { say, client, broken } = await serve({
    onHot: () => {
      if ((served += 1) === 2) throw new Error('a bug')
    },
  })
  client.pause()
  say('/large')
  await sleep(50)
  say('/hot')
  await sleep(50)
  client.resume()
  await once(client, 'close')
  expect(broken).toEqual([new Error('a bug')])
})

test('a bug harms its connection and is told', async () => {
  const { say, client, broken } = await serve({
    onHot: () => {
      throw new Error('a bug')
    },
  })
  say('/hot')
  await once(client, 'close')
  expect(broken).toEqual([new Error('a bug')])
})

test('a connection that is reset while a disk is asked is forgotten', async () => {
  const { say, client, reads, broken, serverSide } = await serve()
  say('/stored')
  await until(() => reads.length === 1)
  client.resetAndDestroy()
  await until(() => serverSide()?.destroyed === true)
  reads[0]?.({ tier: 'disk', body: Buffer.from('on disk;') })
  await sleep(20)
  expect(broken).toEqual([])
})
