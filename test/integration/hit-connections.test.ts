import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { makePictureFolder } from '../helpers/picture-folder.ts'
import { startHalftone, type RunningHalftone } from '../helpers/start-halftone.ts'
import { apiAs } from '../helpers/upload-api.ts'

const key = 'key-of-at-least-sixteen'
let originals: ReturnType<typeof makePictureFolder>
let halftone: RunningHalftone
const hot = '/a.jpg?w=40'

beforeAll(async () => {
  originals = makePictureFolder({ 'a.jpg': await drawGradientJpeg(1200, 900) })
  halftone = await startHalftone({
    HALFTONE_SOURCE: originals.folder,
    HALFTONE_SOURCE_STATE_SECONDS: '60',
    HALFTONE_REQUEST_TIMEOUT_SECONDS: '5',
    HALFTONE_API_KEYS: `shop:${key}`,
  })
  // Ten of them are more than a kernel holds for a client that does not read.
  const noise = randomBytes(1000 * 700 * 3)
  const raw = { width: 1000, height: 700, channels: 3 as const }
  originals.write('large.png', await sharp(noise, { raw }).png({ compressionLevel: 0 }).toBuffer())
  for (const target of [hot, hot, hot, '/large.png', '/large.png', '/large.png'])
    await (await halftone.get(target)).arrayBuffer()
})
afterAll(async () => {
  await halftone.stop()
  originals.remove()
})

type Message = { status: number; detail: string; id: string; body: Buffer }

/** One connection, spoken to in bytes; messages are told apart by their lengths. */
async function open(origin = halftone.origin) {
  const socket = connect({ port: Number(new URL(origin).port), host: '127.0.0.1', noDelay: true }).on('error', () => {})
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  let heard: Buffer = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => (heard = Buffer.concat([heard, chunk])))
  const ended = once(socket, 'end').then(() => true)
  const readMessage = (): Message | undefined => {
    const end = heard.indexOf('\r\n\r\n')
    if (end === -1) return undefined
    const head = heard.toString('latin1', 0, end)
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1]?.trim() ?? ''
    const length = Number(field('content-length'))
    if (heard.length < end + 4 + length) return undefined
    const body = heard.subarray(end + 4, end + 4 + length)
    heard = heard.subarray(end + 4 + length)
    return { status: Number(head.slice(9, 12)), detail: field('cache-status'), id: field('x-request-id'), body }
  }
  return {
    socket,
    ended,
    say: (text: string) => socket.write(text, 'latin1'),
    async next(): Promise<Message> {
      for (const untilMs = Date.now() + 10_000; Date.now() < untilMs; await sleep(5)) {
        const message = readMessage()
        if (message) return message
      }
      throw new Error(`no whole answer in ${heard.length} bytes: ${heard.toString('latin1', 0, 200)}`)
    },
    /** That nothing more comes. */
    async isQuiet(ms = 150) {
      await sleep(ms)
      return heard.length === 0
    },
  }
}

const get = (target: string, id: string, fields = '') =>
  `GET ${target} HTTP/1.1\r\nHost: x\r\nX-Request-Id: ${id}\r\n${fields}\r\n`
const memory = 'halftone; hit; detail=memory'
let width = 100
/** A picture that nobody has asked for. */
const fresh = () => `/a.jpg?w=${(width += 1)}`

describe('one connection', () => {
  test('carries hits, misses, pages and refusals in turn', async () => {
    const line = await open()
    const said = [hot, fresh(), hot, '/-/health', hot, '/absent.jpg', hot, '/%zz.jpg', hot]
    const heard: Message[] = []
    for (const [index, target] of said.entries()) {
      line.say(get(target, `turn-${index}`))
      heard.push(await line.next())
    }
    // Pages have no id.
    expect(heard.map(({ id }) => id)).toEqual(said.map((_, index) => (index === 3 ? '' : `turn-${index}`)))
    expect(heard.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 404, 200, 400, 200])
    for (const index of [0, 2, 4, 6, 8]) expect(heard[index]).toMatchObject({ detail: memory })
    expect(new Set([0, 2, 4].map((index) => heard[index]?.body.toString('base64'))).size).toBe(1)
    expect(await line.isQuiet()).toBe(true)
  })

  test('answers a head that comes in pieces, wherever it is cut', async () => {
    const text = get(hot, 'cut')
    for (let at = 1; at < text.length; at += 7) {
      const line = await open()
      line.say(text.slice(0, at))
      await sleep(2)
      line.say(text.slice(at))
      expect(await line.next()).toMatchObject({ status: 200, detail: memory, id: 'cut' })
      line.say(get(hot, 'after'))
      expect(await line.next()).toMatchObject({ status: 200, detail: memory, id: 'after' })
      line.socket.destroy()
    }
  })

  test('answers requests in one piece in their order', async () => {
    const line = await open()
    const targets = [hot, fresh(), hot, fresh(), hot]
    line.say(targets.map((target, index) => get(target, `piece-${index}`)).join(''))
    for (const index of targets.keys()) expect(await line.next()).toMatchObject({ status: 200, id: `piece-${index}` })
    line.say(get(hot, 'after'))
    expect(await line.next()).toMatchObject({ id: 'after' })
  })

  test('answers what comes while a miss is rendered after it', async () => {
    const line = await open()
    line.say(get(`${fresh()}&fm=png`, 'slow'))
    await sleep(1)
    for (const id of ['one', 'two']) {
      line.say(get(hot, id))
      await sleep(1)
    }
    for (const id of ['slow', 'one', 'two']) expect(await line.next()).toMatchObject({ status: 200, id })
    expect(await line.isQuiet()).toBe(true)
  })

  test('is closed when the client asks for that, or knows no better', async () => {
    for (const text of [
      get(hot, 'last', 'Connection: close\r\n'),
      `GET ${hot} HTTP/1.0\r\nX-Request-Id: last\r\n\r\n`,
      get(fresh(), 'last', 'Connection: close\r\n'),
    ]) {
      const line = await open()
      line.say(text)
      expect(await line.next()).toMatchObject({ status: 200, id: 'last' })
      expect(await line.ended).toBe(true)
    }
  })

  test('gives its answer to a client that has said all it has to say', async () => {
    const line = await open()
    line.socket.end(get(hot, 'bye'))
    expect(await line.next()).toMatchObject({ status: 200, id: 'bye' })
    expect(await line.ended).toBe(true)
  })

  test('takes an upload after a hit, and a hit after the upload', async () => {
    const bytes = await drawGradientJpeg(300, 200)
    const { upload } = await apiAs(halftone.origin, key).presign(bytes)
    const line = await open()
    line.say(get(hot, 'before'))
    expect(await line.next()).toMatchObject({ id: 'before', detail: memory })
    const { pathname, search } = new URL(upload.url)
    const fields = Object.entries(upload.headers).map(([name, value]) => `${name}: ${value}\r\n`)
    const hasLength = Object.keys(upload.headers).some((name) => name.toLowerCase() === 'content-length')
    line.say(
      `${upload.method} ${pathname}${search} HTTP/1.1\r\nHost: x\r\n${fields.join('')}${hasLength ? '' : `Content-Length: ${bytes.length}\r\n`}\r\n`,
    )
    await sleep(20)
    line.socket.write(bytes.subarray(0, 1000))
    await sleep(20)
    line.socket.write(bytes.subarray(1000))
    expect((await line.next()).status).toBeLessThan(300)
    line.say(get(hot, 'after'))
    expect(await line.next()).toMatchObject({ id: 'after', detail: memory })
  })
})

test('what comes while a result is read from disk waits for its turn', async () => {
  const onDisk = await startHalftone({
    HALFTONE_SOURCE: originals.folder,
    HALFTONE_SOURCE_STATE_SECONDS: '60',
    HALFTONE_MEMORY_CACHE_MB: '0',
  })
  onTestFinished(() => onDisk.stop())
  const targets = ['/a.jpg?w=50', '/a.jpg?w=51']
  for (const target of [...targets, ...targets, ...targets]) await (await onDisk.get(target)).arrayBuffer()
  const line = await open(onDisk.origin)
  for (let asked = 0; asked < 200; asked += 2) {
    for (const [index, target] of targets.entries()) {
      line.say(get(target, `disk-${asked + index}`))
      await new Promise((resolve) => setImmediate(resolve))
    }
    for (const id of [`disk-${asked}`, `disk-${asked + 1}`])
      expect(await line.next()).toMatchObject({ id, detail: 'halftone; hit; detail=disk' })
  }
})

describe('what looks like a request and is none', () => {
  /** Up to the middle of a field. What comes behind it has the host. */
  const half = (target: string) => `GET ${target} HTTP/1.1\r\nX: `

  test('the value of a field that is still being sent', async () => {
    const line = await open()
    line.say(half('/absent'))
    await sleep(20)
    line.say(get(hot, 'smuggled'))
    expect((await line.next()).status).toBe(404)
    expect(await line.isQuiet()).toBe(true)
  })

  test.each([
    ['a body', `POST /absent HTTP/1.1\r\nHost: x\r\nContent-Length: ${get(hot, 'smuggled').length}\r\n\r\n`],
    ['a body of a GET', `GET /absent HTTP/1.1\r\nHost: x\r\nContent-Length: ${get(hot, 'smuggled').length}\r\n\r\n`],
    [
      'a chunk',
      `POST /absent HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${get(hot, 'smuggled').length.toString(16)}\r\n`,
    ],
  ])('%s', async (_name, head) => {
    const line = await open()
    // On a connection that was answered directly before.
    line.say(get(hot, 'first'))
    expect(await line.next()).toMatchObject({ id: 'first' })
    line.say(head)
    await sleep(20)
    line.say(get(hot, 'smuggled'))
    expect((await line.next()).status).toBeGreaterThanOrEqual(400)
    expect(await line.isQuiet()).toBe(true)
  })

  test('half a request behind a whole one', async () => {
    const line = await open()
    line.say(`${get(fresh(), 'whole')}${half('/absent')}`)
    expect(await line.next()).toMatchObject({ id: 'whole', status: 200 })
    line.say(get(hot, 'smuggled'))
    expect((await line.next()).status).toBe(404)
    expect(await line.isQuiet()).toBe(true)
  })

  test('half a request behind a whole one that is still being answered', async () => {
    const line = await open()
    line.say(get(`${fresh()}&fm=png`, 'whole'))
    await sleep(1)
    line.say(half('/absent'))
    expect(await line.next()).toMatchObject({ id: 'whole', status: 200 })
    line.say(get(hot, 'smuggled'))
    expect((await line.next()).status).toBe(404)
    expect(await line.isQuiet()).toBe(true)
  })
})

describe('a client', () => {
  test('that asks and does not read is not answered any further, until it does', async () => {
    const line = await open()
    const count = 60
    line.socket.pause()
    for (let asked = 0; asked < count; asked += 1) {
      line.say(get('/large.png', `flood-${asked}`))
      // Each is a piece of its own.
      await sleep(3)
    }
    const answered = () => halftone.logLines.filter(({ requestId }) => String(requestId).startsWith('flood-')).length
    expect(answered()).toBeLessThan(count / 2)
    line.socket.resume()
    for (let asked = 0; asked < count; asked += 1)
      expect(await line.next()).toMatchObject({ id: `flood-${asked}`, status: 200 })
    expect(answered()).toBe(count)
  })

  test('that says nothing is let go, and so is one that says nothing any more at the end', async () => {
    const own = await startHalftone({
      HALFTONE_SOURCE: originals.folder,
      HALFTONE_REQUEST_TIMEOUT_SECONDS: '1',
      HALFTONE_SHUTDOWN_TIMEOUT_SECONDS: '20',
    })
    const silent = await open(own.origin)
    expect(await silent.ended).toBe(true)
    const idle: Socket[] = []
    for (const target of [hot, '/-/health']) {
      const line = await open(own.origin)
      for (let asked = 0; asked < 3; asked += 1) {
        line.say(get(target, 'x'))
        await line.next()
      }
      idle.push(line.socket)
    }
    const startedMs = performance.now()
    await own.stop()
    expect(performance.now() - startedMs).toBeLessThan(10_000)
  })

  test('is known by its address to what is asked through Node', async () => {
    const strict = await startHalftone({ HALFTONE_API_KEYS: `shop:${key}`, HALFTONE_SOURCE: originals.folder })
    onTestFinished(() => strict.stop())
    const line = await open(strict.origin)
    const statuses = new Set<number>()
    for (let asked = 0; asked < 60 && !statuses.has(429); asked += 1) {
      line.say(get('/v1/usage', 'guess', 'Authorization: Bearer wrong-wrong-wrong-wrong\r\n'))
      statuses.add((await line.next()).status)
    }
    expect([...statuses]).toEqual([401, 429])
  })
})
