import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Job, JobHandler, JobQueue } from '../../src/jobs/job-queue.ts'

export type QueueSettings = {
  readonly concurrency?: number
  readonly maxAttempts?: number
  readonly jobTimeoutMs?: number
  readonly leaseMs?: number
}

/** A place that several queues share, as processes would; `crash` drops one without a word, with what it runs. */
export type OpenTestQueues = () => Promise<{
  readonly openQueue: (settings?: QueueSettings) => JobQueue & { readonly crash: () => void }
  readonly close: () => Promise<void>
}>

const soon = { timeout: 10_000, interval: 10 }
const never: JobHandler = () => new Promise(() => undefined)

/** What every job queue promises, when RangeErrors are outages and a second of them is too long. */
export function describeJobQueue(name: string, openTestQueues: OpenTestQueues): void {
  const open = async () => {
    const { openQueue, close } = await openTestQueues()
    onTestFinished(close)
    return (settings: QueueSettings = {}) => {
      const queue = openQueue(settings)
      onTestFinished(() => queue.close())
      return queue
    }
  }
  const idle = (queue: JobQueue) =>
    vi.waitFor(async () => expect(await queue.stats()).toMatchObject({ waiting: 0, running: 0 }), soon)
  const add = (queue: JobQueue, id: string, more: { delayMs?: number } = {}) =>
    queue.add('draw', { id }, { dedupeKey: id, ...more })

  describe(`${name}: the contract of a job queue`, () => {
    test('a job is run with what it was given, at once, and is then gone', async () => {
      const queue = (await open())()
      const seen: Job[] = []
      queue.work({ draw: (job) => Promise.resolve(void seen.push(job)) })
      await sleep(30)
      const addedAt = performance.now()
      await add(queue, 'one')
      await vi.waitFor(() => expect(seen).toHaveLength(1), soon)
      expect(performance.now() - addedAt).toBeLessThan(2_000)
      expect(seen[0]).toMatchObject({ kind: 'draw', payload: { id: 'one' }, attempt: 1 })
      await idle(queue)
      expect(await queue.stats()).toEqual({ waiting: 0, running: 0, dead: 0 })
    })

    test('what was added before anyone works waits, and kinds without a handler go on waiting', async () => {
      const queue = (await open())()
      await add(queue, 'one')
      await queue.add('other', {}, { dedupeKey: 'other' })
      expect(await queue.stats()).toEqual({ waiting: 2, running: 0, dead: 0 })
      const draw = vi.fn<JobHandler>(() => Promise.resolve())
      queue.work({ draw })
      await vi.waitFor(async () => expect(await queue.stats()).toMatchObject({ waiting: 1, running: 0 }), soon)
      expect(draw).toHaveBeenCalledTimes(1)
    })

    test('a delayed job is not run early', async () => {
      const queue = (await open())()
      let ranAt = 0
      queue.work({ draw: () => Promise.resolve(void (ranAt = performance.now())) })
      const addedAt = performance.now()
      await add(queue, 'later', { delayMs: 200 })
      await vi.waitFor(() => expect(ranAt).toBeGreaterThan(0), soon)
      expect(ranAt - addedAt).toBeGreaterThanOrEqual(195)
    })

    test('one waiting or running job for a dedupe key; once it is done the key is free', async () => {
      const queue = (await open())()
      const gate = Promise.withResolvers<void>()
      const draw = vi.fn<JobHandler>(() => gate.promise)
      await Promise.all([add(queue, 'same'), add(queue, 'same'), add(queue, 'same')])
      queue.work({ draw })
      await vi.waitFor(() => expect(draw).toHaveBeenCalledTimes(1), soon)
      await add(queue, 'same')
      expect(await queue.stats()).toEqual({ waiting: 0, running: 1, dead: 0 })
      gate.resolve()
      await idle(queue)
      await add(queue, 'same')
      await vi.waitFor(() => expect(draw).toHaveBeenCalledTimes(2), soon)
    })

    test('no more jobs run at once than allowed, and all are run', async () => {
      const queue = (await open())({ concurrency: 3 })
      let [running, most, done] = [0, 0, 0]
      const draw = async () => {
        most = Math.max(most, (running += 1))
        await sleep(10)
        running -= 1
        done += 1
      }
      await Promise.all(Array.from({ length: 20 }, (_, n) => add(queue, `job ${n}`)))
      queue.work({ draw })
      await vi.waitFor(() => expect(done).toBe(20), soon)
      expect(most).toBe(3)
    })

    test('a failed job is tried again after a pause, and told which try it is', async () => {
      const queue = (await open())({ maxAttempts: 3 })
      const tries: { attempt: number; at: number }[] = []
      queue.work({
        draw: ({ attempt }) => {
          tries.push({ attempt, at: performance.now() })
          return attempt < 3 ? Promise.reject(new Error('not yet')) : Promise.resolve()
        },
      })
      await add(queue, 'stubborn')
      await vi.waitFor(() => expect(tries.map(({ attempt }) => attempt)).toEqual([1, 2, 3]), soon)
      await idle(queue)
      expect(await queue.stats()).toMatchObject({ dead: 0 })
      const pauses = tries.slice(1).map(({ at }, n) => at - (tries[n]?.at ?? 0))
      expect(pauses[0]).toBeGreaterThan(5)
    })

    test('a job that always fails is kept as dead with its error, and run again by hand', async () => {
      const queue = (await open())({ maxAttempts: 2 })
      const draw = vi.fn<JobHandler>(() => Promise.reject(new Error('no such picture')))
      queue.work({ draw })
      await add(queue, 'hopeless')
      await vi.waitFor(async () => expect(await queue.stats()).toEqual({ waiting: 0, running: 0, dead: 1 }), soon)
      expect(draw).toHaveBeenCalledTimes(2)
      const [dead] = await queue.dead(10)
      if (!dead) throw new Error('no dead job')
      expect(dead).toMatchObject({
        kind: 'draw',
        payload: { id: 'hopeless' },
        attempts: 2,
        lastError: 'no such picture',
      })
      expect(dead.diedAtMs).toBeLessThanOrEqual(Date.now())
      draw.mockImplementation(() => Promise.resolve())
      expect(await queue.retryDead(dead.id)).toBe(true)
      await idle(queue)
      expect(draw.mock.lastCall?.[0]).toMatchObject({ attempt: 1, payload: { id: 'hopeless' } })
      expect(await queue.dead(10)).toEqual([])
      expect(await queue.retryDead(dead.id)).toBe(false)
    })

    test('an outage uses up no try, and ends the job when it lasts too long', async () => {
      const queue = (await open())({ maxAttempts: 2 })
      const tries: number[] = []
      const said: boolean[] = []
      const outage = new RangeError('the store is out')
      queue.work({
        draw: ({ attempt, isLast }) => {
          tries.push(attempt)
          said.push(isLast(outage))
          return Promise.reject(outage)
        },
      })
      await add(queue, 'patient')
      await vi.waitFor(async () => expect(await queue.stats()).toMatchObject({ dead: 1 }), soon)
      expect(tries.length).toBeGreaterThan(4)
      expect(new Set(tries)).toEqual(new Set([1]))
      expect(said).toEqual([...said.slice(1).map(() => false), true])
    })

    test('a job that takes too long is told to stop, and counts as failed', async () => {
      const queue = (await open())({ maxAttempts: 1, jobTimeoutMs: 50 })
      let aborted = false
      queue.work({
        draw: (_, signal) => {
          signal.addEventListener('abort', () => (aborted = true))
          return new Promise(() => undefined)
        },
      })
      await add(queue, 'endless')
      await vi.waitFor(async () => expect(await queue.stats()).toMatchObject({ dead: 1 }), soon)
      expect(aborted).toBe(true)
    })

    test('two queues never run one job at once, and together run each', async () => {
      const openQueue = await open()
      const running = new Set<string>()
      const ran: string[] = []
      let clashes = 0
      const draw: JobHandler = async ({ payload: { id = '' } }) => {
        if (running.has(id)) clashes += 1
        running.add(id)
        await sleep(Math.random() * 10)
        running.delete(id)
        ran.push(id)
      }
      const queues = [openQueue({ concurrency: 4 }), openQueue({ concurrency: 4 })]
      for (const queue of queues) queue.work({ draw })
      await Promise.all(Array.from({ length: 40 }, (_, n) => add(queues[n % 2] ?? openQueue(), `job ${n}`)))
      await vi.waitFor(() => expect(ran).toHaveLength(40), soon)
      expect(new Set(ran).size).toBe(40)
      expect(clashes).toBe(0)
    })

    test('a job that runs longer than its lease stays with its queue', async () => {
      const openQueue = await open()
      const draw = vi.fn<JobHandler>(() => sleep(1200))
      const queues = [openQueue({ leaseMs: 400 }), openQueue({ leaseMs: 400 })]
      for (const queue of queues) queue.work({ draw })
      await add(queues[0] ?? openQueue(), 'long')
      await vi.waitFor(() => expect(draw).toHaveBeenCalledTimes(1), soon)
      await idle(queues[0] ?? openQueue())
      expect(draw).toHaveBeenCalledTimes(1)
    })

    test('the job of a queue that died is run by another after its lease', async () => {
      const openQueue = await open()
      const dying = openQueue({ leaseMs: 200 })
      const started = vi.fn(never)
      dying.work({ draw: started })
      await add(dying, 'orphan')
      await vi.waitFor(() => expect(started).toHaveBeenCalledTimes(1), soon)
      dying.crash()
      const draw = vi.fn<JobHandler>(() => Promise.resolve())
      const other = openQueue({ leaseMs: 200 })
      other.work({ draw })
      await vi.waitFor(() => expect(draw).toHaveBeenCalledTimes(1), soon)
      expect(draw.mock.lastCall?.[0]).toMatchObject({ attempt: 2, payload: { id: 'orphan' } })
      await idle(other)
    })

    test('a job that brings down every process that runs it ends as dead', async () => {
      const openQueue = await open()
      await add(openQueue(), 'bomb')
      for (let n = 0; n < 2; n++) {
        const dying = openQueue({ maxAttempts: 2, leaseMs: 100 })
        const draw = vi.fn(never)
        dying.work({ draw })
        await vi.waitFor(() => expect(draw).toHaveBeenCalledTimes(1), soon)
        dying.crash()
      }
      const survivor = openQueue({ maxAttempts: 2, leaseMs: 100 })
      const draw = vi.fn(never)
      survivor.work({ draw })
      await vi.waitFor(async () => expect(await survivor.stats()).toMatchObject({ dead: 1, running: 0 }), soon)
      expect(draw).not.toHaveBeenCalled()
    })

    test('closing takes no more jobs and waits for those that run', async () => {
      const queue = (await open())({ concurrency: 1 })
      let done = 0
      const draw = vi.fn<JobHandler>(async () => {
        await sleep(100)
        done += 1
      })
      queue.work({ draw })
      await add(queue, 'first')
      await add(queue, 'second')
      await vi.waitFor(() => expect(draw).toHaveBeenCalledTimes(1), soon)
      await queue.close()
      expect(done).toBe(1)
      expect(draw).toHaveBeenCalledTimes(1)
      expect(await queue.stats()).toMatchObject({ waiting: 1, running: 0 })
    })

    test('a job that will not end in time is told to stop, and is left for the next start', async () => {
      const openQueue = await open()
      const queue = openQueue({ maxAttempts: 1 })
      let reason: unknown
      const draw = vi.fn<JobHandler>((job, signal) => {
        signal.addEventListener('abort', () => void (reason = signal.reason))
        return never(job, signal)
      })
      queue.work({ draw })
      await add(queue, 'endless')
      await vi.waitFor(() => expect(draw).toHaveBeenCalledTimes(1), soon)
      await queue.close()
      expect(reason).toBeInstanceOf(Error)
      const next = openQueue()
      expect(await next.stats()).toEqual({ waiting: 1, running: 0, dead: 0 })
      // In its last try, too, and without losing one.
      const again = vi.fn<JobHandler>(() => Promise.resolve())
      next.work({ draw: again })
      await vi.waitFor(() => expect(again).toHaveBeenCalledTimes(1), soon)
      expect(again.mock.lastCall?.[0]).toMatchObject({ attempt: 1 })
    })
  })
}
