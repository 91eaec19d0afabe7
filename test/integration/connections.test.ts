import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { makePictureFolder } from '../helpers/picture-folder.ts'
import { startHalftone, type RunningHalftone } from '../helpers/start-halftone.ts'

let originals: ReturnType<typeof makePictureFolder>
let halftone: RunningHalftone
let port: number

beforeAll(async () => {
  originals = makePictureFolder({ 'a.jpg': await drawGradientJpeg(300, 200) })
  halftone = await startHalftone({ HALFTONE_SOURCE: originals.folder, HALFTONE_REQUEST_TIMEOUT_SECONDS: '2' })
  port = Number(new URL(halftone.origin).port)
  // Requests have two seconds here, which a renderer may need to start on a busy machine.
  await vi.waitFor(async () => expect((await halftone.get('/-/ready')).status).toBe(200), { timeout: 30_000 })
})
afterAll(async () => {
  await halftone.stop()
  originals.remove()
})

/** Sends bytes as they stand and gives back all that came until the other side closed. */
async function speak(text: string, to = port): Promise<string> {
  const socket = connect({ port: to, host: '127.0.0.1' }).on('error', () => {})
  let heard = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => (heard += chunk))
  socket.write(text)
  await once(socket, 'close')
  return heard
}

/** A client that never closes its side; resolves when the server has let go of the connection altogether. */
async function clingTo(text: string): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  // What is written to a connection that was only half closed is accepted; to one that is gone, it is answered by a reset.
  const poke = setInterval(() => socket.readableEnded && socket.write('x'), 200)
  const gone = new Promise((resolve) => socket.once('close', resolve))
  socket
    .on('error', () => {})
    .resume()
    .write(text)
  await gone
  clearInterval(poke)
}

describe('what comes in raw', () => {
  test('an absolute-form target is a request for its host and path', async () => {
    const heard = await speak(
      'GET http://images.example/a.jpg?w=30 HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n',
    )
    expect(heard).toMatch(/^HTTP\/1.1 200/)
  })

  test('garbage is refused', async () => {
    expect(await speak('NONSENSE\r\n\r\n')).toMatch(/^HTTP\/1.1 400/)
    expect(await speak(`GET /a.jpg HTTP/1.1\r\nX: ${'a'.repeat(40_000)}\r\n\r\n`)).toMatch(/^HTTP\/1.1 431/)
  })

  test('refused and unfinished requests do not keep their connections, however long the other side holds on', async () => {
    await Promise.all([
      clingTo('NONSENSE\r\n\r\n'),
      ...Array.from({ length: 10 }, () => clingTo('GET /a.jpg HTTP/1.1\r\nA: ')),
    ])
    expect((await halftone.get('/a.jpg?w=31')).status).toBe(200)
  }, 40_000)

  test('garbage behind a request is not answered in its place', async () => {
    const socket = connect({ port, host: '127.0.0.1' }).on('error', () => {})
    let heard = ''
    socket.setEncoding('latin1').on('data', (chunk: string) => (heard += chunk))
    socket.write('GET /a.jpg?w=299&fm=png HTTP/1.1\r\nHost: x\r\n\r\n')
    await new Promise((resolve) => setTimeout(resolve, 2))
    socket.write('NONSENSE\r\n\r\n')
    await once(socket, 'close')
    expect(heard).not.toMatch(/^HTTP\/1.1 400/)
  })

  test('nor behind two, of which the first has been answered', async () => {
    const socket = connect({ port, host: '127.0.0.1' })
    let heard = ''
    socket.setEncoding('latin1').on('data', (chunk: string) => (heard += chunk))
    const ask = (target: string) => `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`
    socket.write(ask('/-/health') + ask('/a.jpg?w=257&fm=avif'))
    await expect.poll(() => heard).toContain('HTTP/1.1 200')
    socket.write('what is this\r\n\r\n')
    await once(socket, 'close')
    // Where the second was quick, the refusal comes behind both.
    expect(heard.match(/HTTP\/1\.1 \d+/g)?.[1]).not.toBe('HTTP/1.1 400')
  })

  test('a few requests ahead of their answers are answered, hundreds end the connection', async () => {
    const ask = 'GET /none.jpg HTTP/1.1\r\nHost: a\r\n\r\n'
    const last = 'GET /none.jpg HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
    const answersTo = async (text: string) => (await speak(text)).split('HTTP/1.1 404').length - 1
    expect(await answersTo(ask.repeat(20) + last)).toBe(21)
    expect(await answersTo(ask.repeat(1000) + last)).toBeLessThan(70)
    expect((await halftone.get('/a.jpg?w=33')).status).toBe(200)
  })

  test.each(['/a.jpg?w=30', '/-/health', '/v1/images'])('two hosts are refused, on %s', async (target) => {
    const heard = await speak(`GET ${target} HTTP/1.1\r\nHost: a\r\nX: y\r\nhost: b\r\n\r\n`)
    expect(heard).toMatch(/^HTTP\/1.1 400/)
  })

  test('a method that is refused is logged as it was sent', async () => {
    await fetch(`${halftone.origin}/a.jpg`, { method: 'DELETE', headers: { 'x-request-id': 'was-delete' } })
    await expect
      .poll(() => halftone.logLines.find((line) => line['requestId'] === 'was-delete'))
      .toMatchObject({ method: 'DELETE', status: 405 })
  })
})

test.each([
  ['POST', '/v1/images', 'application/json', true],
  ['PATCH', '/v1/images/img_x', 'application/json', true],
  ['POST', '/v1/images/img_x/shares', 'application/json', true],
  ['PUT', '/v1/images', 'multipart/form-data; boundary=b', true],
  ['POST', '/v1/images', 'multipart/form-data; boundary=b', false],
])('a body that drips: %s %s of %s is cut at the request timeout: %s', async (method, path, type, isCut) => {
  const key = 'key-of-at-least-sixteen'
  const uploads = await startHalftone({
    HALFTONE_SOURCE: originals.folder,
    HALFTONE_API_KEYS: `shop:${key}`,
    HALFTONE_REQUEST_TIMEOUT_SECONDS: '1',
    HALFTONE_SHUTDOWN_TIMEOUT_SECONDS: '0',
  })
  const socket = connect({ port: Number(new URL(uploads.origin).port), host: '127.0.0.1' }).on('error', () => {})
  const gone = new Promise<boolean>((resolve) => socket.resume().once('close', () => resolve(true)))
  const start = type.startsWith('multipart')
    ? '--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    : '{"filename":"'
  socket.write(`${method} ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${key}\r\nContent-Length: 9000\r\n`)
  socket.write(`Content-Type: ${type}\r\n\r\n${start}`)
  const drip = setInterval(() => socket.writable && socket.write('a'), 100)
  const isGone = await Promise.race([gone, new Promise((resolve) => setTimeout(resolve, 3000, false))])
  clearInterval(drip)
  socket.destroy()
  await uploads.stop()
  expect(isGone).toBe(isCut)
})

/** A picture larger than what the kernel takes for a client that reads nothing. */
async function writeLargePng(...names: string[]): Promise<number> {
  const pixels = randomBytes(3000 * 2600 * 3)
  const raw = { width: 3000, height: 2600, channels: 3 } as const
  const png = await sharp(pixels, { raw }).png({ compressionLevel: 0 }).toBuffer()
  for (const name of names) originals.write(name, png)
  return png.length
}

test.each(['the long way', 'the hot lane'])('a client that stops reading is cut off (%s)', async (way) => {
  const bytes = await writeLargePng('large.png')
  const strict = await startHalftone({
    HALFTONE_SOURCE: originals.folder,
    HALFTONE_STALL_TIMEOUT_SECONDS: '0.5',
    HALFTONE_SOURCE_STATE_SECONDS: '60',
    HALFTONE_SHUTDOWN_TIMEOUT_SECONDS: '1',
  })
  try {
    // The first is rendered, the second found in memory; from the third on it is hot.
    for (let asked = 0; asked < (way === 'the hot lane' ? 2 : 0); asked += 1)
      await (await strict.get('/large.png')).arrayBuffer()
    const socket = connect({ port: Number(new URL(strict.origin).port), host: '127.0.0.1' }).on('error', () => {})
    await once(socket, 'connect')
    socket.pause().write('GET /large.png HTTP/1.1\r\nHost: x\r\nX-Request-Id: stalled\r\n\r\n')
    // The long way tells of an answer when it is out or cut, the hot lane when it is written.
    const isTold = () => strict.logLines.some(({ requestId }) => requestId === 'stalled')
    await expect.poll(isTold, { timeout: 20_000 }).toBe(true)
    if (way === 'the hot lane') await new Promise((resolve) => setTimeout(resolve, 2500))
    let received = 0
    const gone = new Promise((resolve) => socket.once('close', resolve))
    socket.on('data', (chunk: Buffer) => (received += chunk.length)).resume()
    await gone
    // What the kernel had taken may still arrive; the rest was let go.
    expect(received).toBeLessThan(bytes)
  } finally {
    await strict.stop()
  }
})

test.each(['the long way', 'the hot lane', 'the hot lane, read by Node', 'one after another on one connection'])(
  'of clients that read slowly, the first are cut off when their answers take too much memory (%s)',
  async (way) => {
    const names = ['slow-1.png', 'slow-2.png', 'slow-3.png', 'slow-4.png']
    const bytes = await writeLargePng(...names)
    const small = await startHalftone({
      HALFTONE_SOURCE: originals.folder,
      HALFTONE_UNSENT_ANSWERS_MB: String(Math.ceil((bytes * 2.5) / 1e6)),
      HALFTONE_SOURCE_STATE_SECONDS: '60',
      HALFTONE_SHUTDOWN_TIMEOUT_SECONDS: '1',
    })
    const port = Number(new URL(small.origin).port)
    const cuts = async () =>
      Number(/slow_client_cut"\} (\d+)/.exec(await (await small.get('/-/metrics')).text())?.[1] ?? 0)
    try {
      for (const name of names)
        for (let asked = 0; asked < (way.startsWith('the hot lane') ? 2 : 0); asked += 1)
          await (await small.get(`/${name}`)).arrayBuffer()
      // What else a connection is to be, is for Node to say.
      const forNode = way === 'the hot lane, read by Node' ? 'Connection: keep-alive, x\r\n' : ''
      const ask = (name: string) => `GET /${name} HTTP/1.1\r\nHost: x\r\n${forNode}X-Request-Id: ${name}\r\n\r\n`
      const open = async (text: string) => {
        const socket = connect({ port, host: '127.0.0.1' }).on('error', () => {})
        await once(socket, 'connect')
        socket.pause().write(text)
        return socket
      }
      if (way === 'one after another on one connection') {
        const socket = await open(names.map(ask).join(''))
        // It may be closed before the count has been seen.
        const isGone = once(socket, 'close')
        await expect.poll(cuts, { timeout: 30_000 }).toBe(1)
        socket.resume()
        await isGone
        return
      }
      const clients = []
      for (const name of names) {
        clients.push(await open(ask(name)))
        // The second and the first lag by now: the third pushes out the first, the fourth the second.
        if (name === 'slow-3.png' || name === 'slow-4.png') {
          await expect.poll(cuts, { timeout: 30_000 }).toBe(name === 'slow-3.png' ? 1 : 2)
        } else await new Promise((resolve) => setTimeout(resolve, 1500))
      }
      const received = await Promise.all(
        clients.map(async (socket) => {
          let got = 0
          await new Promise<void>((resolve) => {
            if (socket.closed) return resolve()
            socket.once('close', resolve).on('data', (chunk: Buffer) => (got += chunk.length) > bytes && resolve())
            socket.resume()
          })
          socket.destroy()
          return got >= bytes
        }),
      )
      expect(received).toEqual([false, false, true, true])
    } finally {
      await small.stop()
    }
  },
  60_000,
)

test('what a slow client has taken in the end makes room again, on a connection that stays open', async () => {
  const names = ['kept-1.png', 'kept-2.png', 'kept-3.png']
  const bytes = await writeLargePng(...names)
  const small = await startHalftone({
    HALFTONE_SOURCE: originals.folder,
    HALFTONE_UNSENT_ANSWERS_MB: String(Math.ceil((bytes * 1.5) / 1e6)),
    // Node then has the connection for longer than one exchange.
    HALFTONE_HOT_ENTRIES: '0',
    HALFTONE_SHUTDOWN_TIMEOUT_SECONDS: '1',
  })
  const clients = []
  try {
    for (const name of names) {
      const socket = connect({ port: Number(new URL(small.origin).port), host: '127.0.0.1' })
      clients.push(socket)
      await once(socket, 'connect')
      socket.pause().write(`GET /${name} HTTP/1.1\r\nHost: x\r\n\r\n`)
      // Behind by now.
      await new Promise((resolve) => setTimeout(resolve, 1500))
      let received = 0
      socket.on('data', (chunk: Buffer) => (received += chunk.length)).resume()
      await expect.poll(() => received, { timeout: 30_000 }).toBeGreaterThanOrEqual(bytes)
    }
    expect(clients.map(({ closed }) => closed)).toEqual([false, false, false])
  } finally {
    for (const socket of clients) socket.destroy()
    await small.stop()
  }
}, 60_000)

test('a client that asks for pages and reads none is cut off', async () => {
  const strict = await startHalftone({
    HALFTONE_SOURCE: originals.folder,
    HALFTONE_STALL_TIMEOUT_SECONDS: '0.5',
    HALFTONE_SHUTDOWN_TIMEOUT_SECONDS: '1',
  })
  const socket = connect({ port: Number(new URL(strict.origin).port), host: '127.0.0.1' }).on('error', () => {})
  await once(socket, 'connect')
  let isGone = false
  socket.pause().once('close', () => (isGone = true))
  // Until the kernel takes no more of the answers.
  const ask = setInterval(
    () => socket.writable && socket.write('GET /-/metrics HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(8)),
    5,
  )
  try {
    await expect.poll(() => isGone, { timeout: 40_000 }).toBe(true)
  } finally {
    clearInterval(ask)
    socket.destroy()
    await strict.stop()
  }
}, 60_000)

test('how many requests a connection may send ahead is a setting', async () => {
  const few = await startHalftone({ HALFTONE_SOURCE: originals.folder, HALFTONE_PIPELINED_REQUESTS: '3' })
  const ask = (more = '') => `GET /none.jpg HTTP/1.1\r\nHost: a\r\n${more}\r\n`
  const answersTo = async (count: number) => {
    const heard = await speak(ask().repeat(count - 1) + ask('Connection: close\r\n'), Number(new URL(few.origin).port))
    return heard.split('HTTP/1.1 404').length - 1
  }
  expect(await answersTo(3)).toBe(3)
  expect(await answersTo(5)).toBeLessThan(5)
  await few.stop()
})

describe('names of downloads', () => {
  test.each([
    ['../../etc/passwd', 'passwd'],
    ['..\\..\\x.jpg', 'x.jpg'],
    ['a\u0000b\u007fc.jpg', 'abc.jpg'],
    ['.htaccess', 'htaccess'],
    ['/', 'a.jpg'],
  ])('dl=%j is saved as %s', async (dl, want) => {
    const response = await halftone.get(`/a.jpg?w=32&dl=${encodeURIComponent(dl)}`)
    expect(response.headers.get('content-disposition')).toMatch(new RegExp(`^attachment; filename="?${want}"?$`))
  })
})
