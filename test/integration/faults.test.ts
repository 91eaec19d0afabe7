import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { startOriginServer, type Handler, type OriginServer } from '../helpers/http-origin-server.ts'
import { spawnHalftone, type SpawnedHalftone } from '../helpers/spawn-halftone.ts'

/*
 * Every kind of fault from the outside: what its request is answered, that cached pictures are served meanwhile, and that
 * the next request is well. More of each kind: http-source-faults.test.ts (answers of sources), remote-originals.test.ts
 * (stale originals, fallbacks), file-source-races.test.ts (files that change while they are read), renderer-pool.test.ts and
 * crash.test.ts (deaths of renderers and of the front), disk-tier.test.ts (full disks), connections.test.ts (half requests and
 * clients that do not read), overload.test.ts (too many).
 */
let pictures: readonly [Buffer, Buffer]
let origin: OriginServer
let server: SpawnedHalftone
let dataDir = ''
let isOnSmallDisk = false

beforeAll(async () => {
  pictures = [Buffer.from(await drawGradientJpeg(60, 40)), Buffer.from(await drawGradientJpeg(64, 48))]
  origin = await startOriginServer(give(0))
  dataDir = mkdtempSync(join(tmpdir(), 'halftone-faults-'))
  isOnSmallDisk = mountSmallDisk(dataDir)
  server = await spawnHalftone({
    ...{ HALFTONE_SOURCE: origin.url, HALFTONE_ALLOW_ADDRESSES: '127.0.0.1', HALFTONE_DATA_DIR: dataDir },
    ...{ HALFTONE_RENDERERS: '1', HALFTONE_RENDER_DEADLINE_SECONDS: '6', HALFTONE_NEGATIVE_SECONDS: '0' },
    ...{ HALFTONE_SOURCE_FIRST_BYTE_SECONDS: '0.5', HALFTONE_SOURCE_IDLE_SECONDS: '0.5' },
    // On a busy machine a nice renderer might take longer than that to start.
    HALFTONE_RENDERER_NICENESS: '0',
  })
  // Twice: the first answer is of the render, the second from memory.
  for (let round = 0; round < 2; round += 1)
    expect(await ask('/hot.jpg?w=30')).toMatchObject({ status: 200, width: 30 })
})
afterAll(async () => {
  await server.kill('SIGTERM')
  await origin.close()
  if (isOnSmallDisk) execFileSync('umount', ['-l', dataDir])
  rmSync(dataDir, { recursive: true, force: true })
})

function mountSmallDisk(folder: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=32m', 'tmpfs', folder], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

const give =
  (which: 0 | 1): Handler =>
  (_request, response) =>
    void response.writeHead(200, { 'Content-Length': pictures[which].length }).end(pictures[which])
const half = () => pictures[0].subarray(0, pictures[0].length >> 1)

async function ask(target: string, signal?: AbortSignal) {
  const response = await fetch(server.origin + target, signal ? { signal } : {})
  const body = Buffer.from(await response.arrayBuffer())
  if (response.ok)
    return { status: response.status, width: (await sharp(body).metadata()).width, headers: response.headers }
  const { code } = JSON.parse(body.toString()) as { code: string }
  return { status: response.status, code, headers: response.headers }
}

async function metricOf(name: string): Promise<number> {
  const text = await (await fetch(`${server.origin}/-/metrics`)).text()
  return Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1])
}

/** The one renderer stands still, with or without a job. */
async function haltRenderer(): Promise<number> {
  await expect.poll(() => server.renderers().length, { timeout: 20_000 }).toBe(1)
  await expect.poll(() => metricOf('halftone_renderers_ready'), { timeout: 20_000 }).toBe(1)
  const [pid = 0] = server.renderers()
  process.kill(pid, 'SIGSTOP')
  return pid
}

const untilRendering = () =>
  expect.poll(() => metricOf('halftone_renderers_busy'), { timeout: 20_000, interval: 20 }).toBe(1)

/** Gives the answer to `target`, asked for while the fault is there. */
type Fault = {
  readonly what: string
  readonly meet: (target: string) => Promise<unknown>
  readonly expected: object
  /** The original is to blame, for all that can be known, and is refused for a while: the next one to ask asks for another. */
  readonly isRemembered?: boolean
  readonly needsSmallDisk?: boolean
}

const from =
  (handler: Handler): Fault['meet'] =>
  (target) => {
    origin.answer(handler)
    return ask(target)
  }

const faults: readonly Fault[] = [
  {
    what: 'a source that is down',
    meet: from((request) => void request.socket.destroy()),
    expected: { status: 502, code: 'source_failed' },
  },
  {
    what: 'a source that does not answer',
    meet: from(() => {}),
    expected: { status: 504, code: 'source_first_byte_timeout' },
  },
  {
    what: 'a source that stops in the middle',
    meet: from((_request, response) => void response.writeHead(200, { 'Content-Length': 99_999 }).write(half())),
    expected: { status: 504, code: 'source_stalled' },
  },
  {
    what: 'a source that is broken',
    meet: from((_request, response) => void response.writeHead(500).end()),
    expected: { status: 502, code: 'source_failed' },
  },
  {
    what: 'a source that gives something else',
    meet: from((_request, response) => void response.writeHead(200, { 'Content-Type': 'image/jpeg' }).end('<html>')),
    expected: { status: 422, code: 'not_an_image' },
    isRemembered: true,
  },
  {
    what: 'an original replaced by a shorter one while it is sent',
    meet: from((request, response) => {
      response.writeHead(200, { 'Content-Length': pictures[0].length, ETag: '"1"' }).write(half())
      setTimeout(() => request.socket.end(), 50)
    }),
    expected: { status: 502, code: 'source_truncated' },
  },
  {
    what: 'an original replaced between two looks at it, the old one cut off',
    meet: async (target) => {
      let asked = 0
      origin.answer((request, response) => {
        asked += 1
        if (asked > 1) return give(1)(request, response)
        response.writeHead(200, { 'Content-Length': pictures[0].length }).write(half())
        setTimeout(() => request.socket.resetAndDestroy(), 50)
      })
      const first = await ask(target)
      // Nothing of the first half may be in the second answer.
      const whole = await ask(target.replace(/\?.*/, ''))
      return { first, whole }
    },
    expected: { first: { status: 502, code: 'source_truncated' }, whole: { status: 200, width: 64 } },
  },
  {
    what: 'a renderer killed in the middle of a job',
    meet: async (target) => {
      const pid = await haltRenderer()
      const answer = ask(target)
      await untilRendering()
      process.kill(pid, 'SIGKILL')
      return answer
    },
    expected: { status: 200, width: 20 },
  },
  {
    what: 'a renderer that hangs',
    meet: async (target) => {
      await haltRenderer()
      return ask(target)
    },
    expected: { status: 422, code: 'render_too_slow' },
    isRemembered: true,
  },
  {
    what: 'a full disk',
    needsSmallDisk: true,
    meet: async (target) => {
      const ballast = join(dataDir, 'ballast')
      expect(() => writeFileSync(ballast, Buffer.alloc(40 * 1024 * 1024))).toThrow('ENOSPC')
      const [first, again, other] = [await ask(target), await ask(target), await ask(`/other${target}`)]
      rmSync(ballast)
      return { first, again, other, hit: again.headers.get('cache-status') }
    },
    expected: {
      ...{ first: { status: 200, width: 20 }, again: { status: 200, width: 20 }, other: { status: 200 } },
      hit: 'halftone; hit; detail=memory',
    },
  },
  {
    what: 'a client that leaves while the original is fetched',
    meet: async (target) => {
      const requests = origin.requests.length
      let release = () => {}
      origin.answer((request, response) => void (release = () => give(0)(request, response)))
      const client = new AbortController()
      const left = ask(target, client.signal)
      left.catch(() => undefined)
      await expect.poll(() => origin.requests.length).toBe(requests + 1)
      client.abort(new Error('left'))
      await expect(left).rejects.toThrow()
      release()
      // The fetch went on: whoever comes next does not pay for it again.
      const next = await ask(target)
      return { next, fetches: origin.requests.length - requests }
    },
    expected: { next: { status: 200, width: 20 }, fetches: 1 },
  },
  {
    what: 'a client that leaves while the picture is rendered',
    meet: async (target) => {
      const pid = await haltRenderer()
      const client = new AbortController()
      const left = ask(target, client.signal)
      left.catch(() => undefined)
      await untilRendering()
      client.abort(new Error('left'))
      await expect(left).rejects.toThrow()
      process.kill(pid, 'SIGCONT')
      return ask(target)
    },
    expected: { status: 200, width: 20 },
  },
]

test.each(faults.map((fault, at) => ({ ...fault, at })))(
  '$what',
  async (fault) => {
    if (fault.needsSmallDisk && !isOnSmallDisk)
      return console.log(`skipped: ${fault.what} (mounting a tmpfs needs root)`)
    origin.answer(give(0))
    const target = `/fault-${fault.at}.jpg?w=20`
    const meeting = fault.meet(target)
    const hits = await Promise.all(Array.from({ length: 5 }, () => ask('/hot.jpg?w=30')))
    expect(hits.map(({ status, headers }) => [status, headers.get('cache-status')])).toEqual(
      Array(5).fill([200, 'halftone; hit; detail=memory']),
    )
    expect(await meeting).toMatchObject(fault.expected)
    origin.answer(give(0))
    const next = fault.isRemembered ? `/after-${fault.at}.jpg?w=20` : target.replace('w=20', 'w=21')
    expect(await ask(next)).toMatchObject({ status: 200 })
    expect(server.process.exitCode).toBe(null)
    expect(server.output()).not.toContain('"code":"internal"')
  },
  60_000,
)
