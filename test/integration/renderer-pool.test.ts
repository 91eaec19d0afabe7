import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import sharp from 'sharp'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { RenderConfig } from '../../src/config/config.ts'
import { AppError } from '../../src/errors.ts'
import type { RenderedImage, RendererPool } from '../../src/transform/executor/renderer-pool.ts'
import { rendererEnvironment } from '../../src/transform/executor/renderer-environment.ts'
import { createRendererPool } from '../../src/transform/executor/renderer-pool.ts'
import { fourQuarters, noise, planOf, quickRenderConfig } from '../helpers/render-fixtures.ts'

const never = new AbortController().signal
const sourceName = 'photos'
const pools: RendererPool[] = []
let quick: Buffer
let slow: Buffer

beforeAll(async () => {
  quick = await fourQuarters()
  slow = await noise(2000, 2000)
})

afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.close(AbortSignal.abort())))
})

function startPool(config: Partial<RenderConfig> = {}): RendererPool {
  const pool = createRendererPool({ config: { ...quickRenderConfig, ...config }, log: () => undefined })
  pools.push(pool)
  return pool
}

function renderQuick(pool: RendererPool, sourceKey = 'quick', signal = never): Promise<RenderedImage> {
  return pool.render(
    {
      original: quick,
      sourceKey,
      sourceName,
      planFor: (metadata) => planOf(metadata, [{ op: 'resize', width: 20, height: 15 }]),
    },
    signal,
  )
}

/** Tens of seconds of real encoding. */
function renderSlow(pool: RendererPool, sourceKey = 'slow', signal = never): Promise<RenderedImage> {
  const output = { format: 'avif', quality: 60, effort: 9 } as const
  return pool.render(
    { original: slow, sourceKey, sourceName, planFor: (metadata) => planOf(metadata, [], { output }) },
    signal,
  )
}

async function until(isTrue: () => boolean, limitMs = 15_000): Promise<void> {
  const end = Date.now() + limitMs
  while (!isTrue()) {
    if (Date.now() > end) throw new Error('waited in vain')
    await sleep(10)
  }
}

const isReady = (pool: RendererPool, renderers: number) => until(() => pool.stats().ready === renderers)
const isAlive = (pid: number) =>
  existsSync(`/proc/${pid}`) && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))

describe('rendering', () => {
  test('a job gives the picture, what was read from its header, and its times', async () => {
    const image = await renderQuick(startPool())
    expect(image).toMatchObject({ contentType: 'image/png', format: 'png', width: 20, height: 15, frames: 1 })
    expect(image.metadata).toMatchObject({ format: 'png', width: 80, height: 60 })
    expect(image.plan.kind).toBe('render')
    expect(await sharp(image.body).metadata()).toMatchObject({ width: 20, height: 15 })
    for (const ms of Object.values(image.timings)) expect(ms).toBeGreaterThan(0)
  })

  test('a passthrough returns the original itself', async () => {
    const pool = startPool()
    const planFor = () => ({ kind: 'passthrough', format: 'png', sanitize: false, width: 80, height: 60 }) as const
    const image = await pool.render({ original: quick, sourceKey: 'a', sourceName, planFor }, never)
    expect(image.body).toBe(quick)
    expect(image.contentType).toBe('image/png')
    await renderQuick(pool)
  })

  test('probe reads the header', async () => {
    expect(await startPool().probe({ original: quick, sourceKey: 'a', sourceName }, never)).toMatchObject({
      format: 'png',
      width: 80,
    })
  })

  test('errors of planning and decoding end the job and leave the renderer alone', async () => {
    const pool = startPool({ renderers: 1 })
    await isReady(pool, 1)
    const [pid] = pool.stats().pids
    const failing = {
      original: quick,
      sourceKey: 'a',
      sourceName,
      planFor: () => {
        throw new AppError('too_many_frames')
      },
    }
    await expect(pool.render(failing, never)).rejects.toMatchObject({ code: 'too_many_frames' })
    const damaged = {
      original: quick.subarray(0, quick.length - 60),
      sourceKey: 'b',
      sourceName,
      planFor: (m: RenderedImage['metadata']) => planOf(m, []),
    }
    await expect(pool.render(damaged, never)).rejects.toMatchObject({ code: 'undecodable', status: 422 })
    const text = { ...damaged, original: Buffer.from('hello') }
    await expect(pool.render(text, never)).rejects.toMatchObject({ code: 'not_an_image' })
    await renderQuick(pool)
    expect(pool.stats().pids).toEqual([pid])
  })
})

describe('admission', () => {
  test('one job a renderer at a time; a full queue is overloaded', async () => {
    const pool = startPool({ renderers: 1, queueLength: 2 })
    await isReady(pool, 1)
    const jobs = [renderSlow(pool), renderQuick(pool), renderQuick(pool)].map((job) =>
      job.catch((error: unknown) => error),
    )
    expect(pool.stats()).toMatchObject({ running: 1, queued: 2 })
    await expect(renderQuick(pool)).rejects.toMatchObject({ code: 'overloaded', status: 503, retryable: true })
    await pool.close(AbortSignal.abort())
    for (const error of await Promise.all(jobs)) expect(error).toMatchObject({ code: 'shutting_down' })
  })

  test('first come, first served', async () => {
    const pool = startPool({ renderers: 1 })
    const order: number[] = []
    await Promise.all([1, 2, 3, 4].map((number) => renderQuick(pool).then(() => order.push(number))))
    expect(order).toEqual([1, 2, 3, 4])
  })

  test('a job that waited a whole deadline is overloaded', async () => {
    const pool = startPool({ renderers: 1, deadlineMs: 1500 })
    await isReady(pool, 1)
    const blockers = [renderSlow(pool, 'a'), renderSlow(pool, 'b')].map((job) => job.catch((error: unknown) => error))
    const codes = (await Promise.all(blockers)).map((error) => (error as AppError).code)
    expect(codes).toEqual(['render_too_slow', 'overloaded'])
  })

  test('an aborted job leaves the queue at once', async () => {
    const pool = startPool({ renderers: 1 })
    await isReady(pool, 1)
    const running = renderSlow(pool).catch(() => undefined)
    const controller = new AbortController()
    const queued = renderQuick(pool, 'b', controller.signal)
    controller.abort(new Error('gone'))
    await expect(queued).rejects.toThrow('gone')
    expect(pool.stats()).toMatchObject({ running: 1, queued: 0 })
    await expect(renderQuick(pool, 'c', controller.signal)).rejects.toThrow('gone')
    await pool.close(AbortSignal.abort())
    await running
  })

  test('an abandoned long render frees its waiter at once and its renderer soon', async () => {
    const pool = startPool({ renderers: 1 })
    await isReady(pool, 1)
    const controller = new AbortController()
    const abandoned = renderSlow(pool, 'slow', controller.signal)
    await sleep(200)
    const aborted = Date.now()
    controller.abort(new Error('gone'))
    await expect(abandoned).rejects.toThrow('gone')
    expect(Date.now() - aborted).toBeLessThan(200)
    await renderQuick(pool)
    expect(Date.now() - aborted).toBeLessThan(10_000)
    expect(pool.stats().events.abandoned_killed).toBe(1)
    expect(pool.stats().refusedSources).toBe(0)
  })
})

describe('deaths', () => {
  test('kill -9 of idle renderers: they come back, nothing fails', async () => {
    const pool = startPool()
    await isReady(pool, 2)
    for (const pid of pool.stats().pids) process.kill(pid, 'SIGKILL')
    // At once, while the front does not know yet.
    await Promise.all([renderQuick(pool), renderQuick(pool), renderQuick(pool)])
    await isReady(pool, 2)
  })

  test('kill -9 of any renderer under load: no job fails', async () => {
    const pool = startPool({ queueLength: 1000 })
    await isReady(pool, 2)
    let isDone = false
    const jobs = Promise.all(Array.from({ length: 300 }, (_, index) => renderQuick(pool, `source ${index}`)))
    const killing = (async () => {
      for (let kills = 0; !isDone && kills < 6; kills++) {
        const [oldest] = pool.stats().pids
        if (oldest !== undefined) process.kill(oldest, 'SIGKILL')
        await sleep(120)
        await until(() => isDone || pool.stats().ready === 2)
      }
    })()
    const images = await jobs
    isDone = true
    await killing
    expect(images).toHaveLength(300)
    expect(pool.stats().events.died).toBeGreaterThan(1)
    expect(pool.stats().refusedSources).toBe(0)
  })

  test('a source that kills two renderers is refused without a third', async () => {
    const pool = startPool({ renderers: 1 })
    await isReady(pool, 1)
    const poisoned = renderSlow(pool, 'poison').catch((error: unknown) => error)
    for (let kills = 0; kills < 2; kills++) {
      await until(() => pool.stats().running === 1)
      await sleep(100)
      process.kill(pool.stats().pids[0]!, 'SIGKILL')
      await until(() => pool.stats().events.died === kills + 1)
    }
    expect(await poisoned).toMatchObject({ code: 'render_refused', status: 422 })
    const started = Date.now()
    await expect(renderSlow(pool, 'poison')).rejects.toMatchObject({ code: 'render_refused' })
    expect(Date.now() - started).toBeLessThan(50)
    await renderQuick(pool, 'another')
    expect(pool.stats().events).toMatchObject({ died: 2, source_refused: 1 })
  })

  test.skipIf(process.platform !== 'linux')(
    'a job above the memory limit ends its renderer once, and what waits for the same original is refused with it',
    async () => {
      const pool = startPool({ renderers: 1, memoryLimitMB: 1 })
      await isReady(pool, 1)
      const jobs = [renderSlow(pool, 'huge'), renderSlow(pool, 'huge')]
      const codes = (await Promise.allSettled(jobs)).map(
        (job) => job.status === 'rejected' && (job.reason as AppError).code,
      )
      expect(codes).toEqual(['render_too_large', 'render_refused'])
      await until(() => pool.stats().events.died === 1)
      expect(pool.stats()).toMatchObject({ refusedSources: 1, queued: 0, events: { memory_limit: 1 } })
    },
  )

  test('an original whose very header is not read in time is refused afterwards', async () => {
    const pool = startPool({ renderers: 1, deadlineMs: 1500 })
    await isReady(pool, 1)
    const [pid] = pool.stats().pids
    process.kill(pid!, 'SIGSTOP')
    await expect(renderQuick(pool, 'stuck')).rejects.toMatchObject({ code: 'render_too_slow' })
    await expect(renderQuick(pool, 'stuck')).rejects.toMatchObject({ code: 'render_refused' })
    await renderQuick(pool, 'other')
  })

  test('a job past its deadline is killed, and the next one gets a fresh renderer', async () => {
    const pool = startPool({ renderers: 1, deadlineMs: 3000 })
    await isReady(pool, 1)
    const started = Date.now()
    await expect(renderSlow(pool)).rejects.toMatchObject({ code: 'render_too_slow', status: 422 })
    expect(Date.now() - started).toBeLessThan(6000)
    await renderQuick(pool)
    expect(pool.stats().events.deadline_killed).toBe(1)
    // Another, cheaper plan for the same original may still be tried.
    expect(pool.stats().refusedSources).toBe(0)
  })

  test('a renderer above the memory ceiling is replaced after its job', async () => {
    const pool = startPool({ renderers: 1, memoryCeilingMB: 1 })
    await isReady(pool, 1)
    const [first] = pool.stats().pids
    await renderQuick(pool)
    await renderQuick(pool)
    await until(() => pool.stats().events.recycled === 2 && !isAlive(first!))
    expect(pool.stats().events.died).toBe(0)
  })
})

describe('closing', () => {
  test('running and waiting jobs end, new ones are refused, no process is left', async () => {
    const pool = startPool({ renderers: 1 })
    await isReady(pool, 1)
    const { pids } = pool.stats()
    const jobs = [renderQuick(pool), renderQuick(pool), renderQuick(pool)]
    const closed = pool.close()
    await expect(renderQuick(pool)).rejects.toMatchObject({ code: 'shutting_down', status: 503 })
    expect(await Promise.all(jobs)).toHaveLength(3)
    await closed
    expect(pids.filter(isAlive)).toEqual([])
  })

  test('a pool closed while its renderers start leaves none behind', async () => {
    const pool = startPool()
    const { pids } = pool.stats()
    expect(pids).toHaveLength(2)
    await pool.close()
    expect(pids.filter(isAlive)).toEqual([])
  })

  test('renderers end with the front, also in the middle of a job', async () => {
    const front = spawn(
      process.execPath,
      ['--experimental-strip-types', new URL('renderer-pool-front.ts', import.meta.url).pathname],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
    const [line] = (await once(front.stdout, 'data')) as [Buffer]
    const pids = JSON.parse(line.toString()) as number[]
    expect(pids.filter(isAlive)).toHaveLength(1)
    front.kill('SIGKILL')
    await until(() => pids.every((pid) => !isAlive(pid)), 3000)
  })
})

describe.skipIf(process.platform !== 'linux')('the surroundings of a renderer', () => {
  test('no secret, no socket, low priority', async () => {
    process.env['HALFTONE_SIGNING_KEYS'] = 'k1:very-secret-value'
    const pool = startPool({ renderers: 1, niceness: 7 })
    delete process.env['HALFTONE_SIGNING_KEYS']
    await isReady(pool, 1)
    await renderQuick(pool)
    const [pid] = pool.stats().pids
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').filter(Boolean)
    expect(environment.join()).not.toMatch(/HALFTONE|secret/)
    expect(openTcpSockets(pid!)).toEqual([])
    const niceness = readdirSync(`/proc/${pid}/task`).map(
      (task) => readFileSync(`/proc/${pid}/task/${task}/stat`, 'utf8').split(') ')[1]!.split(' ')[16],
    )
    expect(new Set(niceness)).toEqual(new Set(['7']))
  })

  test('unless told otherwise there is one heap that keeps what the next picture needs', async () => {
    const pool = startPool({ renderers: 1 })
    await isReady(pool, 1)
    const environment = readFileSync(`/proc/${pool.stats().pids[0]}/environ`, 'utf8')
    expect(environment).toContain('MALLOC_ARENA_MAX=1')
    expect(environment).toContain('MALLOC_MMAP_THRESHOLD_=33554432')
    expect(environment).not.toContain('jemalloc')
  })

  test.skipIf(rendererEnvironment('auto')['LD_PRELOAD'] === undefined)(
    'with jemalloc, where it is installed, it is what pictures are rendered in',
    async () => {
      const pool = startPool({ renderers: 1, jemalloc: 'auto' })
      await isReady(pool, 1)
      await renderQuick(pool)
      const [pid] = pool.stats().pids
      expect(readFileSync(`/proc/${pid}/maps`, 'utf8')).toMatch(/libjemalloc/)
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8')
      expect(environment).toContain('MALLOC_CONF=background_thread:true')
      expect(environment).not.toContain('MALLOC_ARENA_MAX')
    },
  )
})

/** Inodes of the process's sockets that are TCP ones. */
function openTcpSockets(pid: number): string[] {
  const table = ['tcp', 'tcp6', 'udp', 'udp6']
    .map((name) => readFileSync(`/proc/${pid}/net/${name}`, 'utf8'))
    .join('\n')
  const inodes = new Set(table.split('\n').map((line) => line.trim().split(/\s+/)[9]))
  const links = readdirSync(`/proc/${pid}/fdinfo`).map((fd) => socketInode(pid, fd))
  return links.filter((inode): inode is string => inode !== undefined && inodes.has(inode))
}

function socketInode(pid: number, fd: string): string | undefined {
  return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1]
}
