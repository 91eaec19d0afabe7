import { setTimeout as sleep } from 'node:timers/promises'
import { newId } from '../lib/new-id.ts'
import type { Job, JobHandler, JobQueue } from './job-queue.ts'
import { nextTry, type RetryRules } from './retry-delay.ts'

/** Names one holding of a job. */
export type JobHold = { readonly id: string; readonly lease: number }

type TakenJob = JobHold & {
  readonly kind: string
  readonly payload: string
  readonly attempt: number
  readonly addedAtMs: number
}

/** Structurally the table of the database room; declared again, as rooms of one floor do not import each other. */
export interface JobTable {
  add(job: {
    readonly id: string
    readonly kind: string
    readonly payload: string
    readonly dedupeKey: string
    readonly runAtMs: number
  }): Promise<boolean>
  take(kinds: readonly string[], nowMs: number, leaseUntilMs: number): Promise<TakenJob | undefined>
  extend(hold: JobHold, leaseUntilMs: number): Promise<boolean>
  done(hold: JobHold): Promise<boolean>
  failed(
    hold: JobHold,
    error: string,
    next: { readonly runAtMs: number; readonly counts: boolean } | { readonly diedAtMs: number },
  ): Promise<boolean>
  nextDueAtMs(kinds: readonly string[]): Promise<number | undefined>
  stats(): Promise<{ readonly waiting: number; readonly running: number; readonly dead: number }>
  dead(limit: number): Promise<
    readonly {
      readonly id: string
      readonly kind: string
      readonly payload: string
      readonly attempts: number
      readonly lastError: string
      readonly diedAtMs: number
    }[]
  >
  retryDead(id: string, nowMs: number): Promise<boolean>
}

export type EmbeddedQueueOptions = RetryRules & {
  readonly table: JobTable
  /** Jobs at once. */
  readonly concurrency: number
  /** Which errors have nothing to do with the job. */
  readonly isOutage: (error: unknown) => boolean
  /** Longest time that one try may take; its signal fires then. */
  readonly jobTimeoutMs: number
  /** How long the jobs of a process that died stay untouched; a living one extends it every third of that. */
  readonly leaseMs: number
  /** How long a job that another process added may go unseen. */
  readonly pollMs: number
  /** How long `close` waits for running jobs, and, having told them to stop, as long again at most. */
  readonly drainMs: number
  readonly log: { warn(event: string, fields?: Readonly<Record<string, unknown>>): void }
  readonly now?: () => number
  readonly random?: () => number
}

/**
 * A queue in a table of the database, shared by all processes that open it. A job is held by a lease; who loses it (the process
 * slept, or was cut off) is told to stop, and can no longer settle the job.
 */
export function createEmbeddedQueue(options: EmbeddedQueueOptions): JobQueue {
  const { table, now = Date.now } = options
  const running = new Map<Promise<void>, AbortController>()
  let handlers: Readonly<Record<string, JobHandler>> = {}
  let wakeUp = () => {}
  let isClosed = false
  let pump: Promise<void> | undefined

  const start = (job: TakenJob) => {
    const control = new AbortController()
    const work = runJob(job, handlers[job.kind], { control, options }).finally(() => {
      running.delete(work)
      wakeUp()
    })
    running.set(work, control)
  }

  /** Takes what is due while there is room; gives the time until the next look. */
  const takeDue = async (): Promise<number> => {
    const kinds = Object.keys(handlers)
    while (!isClosed && running.size < options.concurrency) {
      const job = await table.take(kinds, now(), now() + options.leaseMs)
      if (job === undefined) {
        const dueAtMs = await table.nextDueAtMs(kinds)
        return Math.min(options.pollMs, Math.max(1, (dueAtMs ?? Infinity) - now()))
      }
      start(job)
    }
    return options.pollMs
  }

  const pumpJobs = async () => {
    while (!isClosed) {
      // Before the look: what is added while it runs must not be slept over.
      const woken = new Promise<void>((resolve) => (wakeUp = resolve))
      const pauseMs = await takeDue().catch((error: unknown) => {
        options.log.warn('job_queue_failed', { error })
        return options.pollMs
      })
      const pause = new AbortController()
      await Promise.race([woken, sleep(pauseMs, undefined, { signal: pause.signal }).catch(() => undefined)])
      pause.abort()
    }
  }

  return {
    async add(kind, payload, { dedupeKey, delayMs = 0 }) {
      const runAtMs = now() + delayMs
      await table.add({ id: newId('job'), kind, payload: JSON.stringify(payload), dedupeKey, runAtMs })
      wakeUp()
    },
    work(given) {
      if (pump !== undefined || isClosed) throw new Error('this queue works already, or is closed')
      handlers = given
      pump = pumpJobs()
    },
    stats: () => table.stats(),
    async dead(limit) {
      return (await table.dead(limit)).map((job) => ({ ...job, payload: readPayload(job.payload) }))
    },
    async retryDead(id) {
      const isRevived = await table.retryDead(id, now())
      wakeUp()
      return isRevived
    },
    async close() {
      isClosed = true
      wakeUp()
      await pump
      await drain(running, options.drainMs)
    },
  }
}

type RunContext = { readonly control: AbortController; readonly options: EmbeddedQueueOptions }

async function runJob(job: TakenJob, handler: JobHandler | undefined, { control, options }: RunContext): Promise<void> {
  const { table, maxAttempts, jobTimeoutMs, log, now = Date.now } = options
  const fields = { job: job.id, kind: job.kind, attempt: job.attempt }
  const after = (error: unknown) => triedAgain(job, error, { control, options })
  try {
    // A job that takes its process down with it never comes to fail: its tries are counted here.
    if (job.attempt > maxAttempts) {
      await table.failed(job, 'the process ended while the job ran', { diedAtMs: now() })
      log.warn('job_dead', fields)
      return
    }
    const stopExtending = extendWhileRunning(job, { control, options })
    try {
      const signal = AbortSignal.any([control.signal, AbortSignal.timeout(jobTimeoutMs)])
      await withinSignal(handler, toJob(job, after), signal)
    } finally {
      stopExtending()
    }
    await table.done(job)
  } catch (error) {
    await giveBack(job, error, { next: after(error), options }).catch((cause: unknown) =>
      log.warn('job_not_settled', { ...fields, error: cause }),
    )
  }
}

/** A handler that does not obey its signal is left behind: its slot is worth more than its end. */
async function withinSignal(handler: JobHandler | undefined, job: Job, signal: AbortSignal): Promise<void> {
  if (handler === undefined) throw new Error(`nothing handles jobs of kind ${job.kind}`)
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(signal.reason as Error)
  signal.addEventListener('abort', abort, { once: true })
  try {
    await Promise.race([handler(job, signal), aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

type NextTry = ReturnType<typeof nextTry>

function toJob({ id, kind, payload, attempt }: TakenJob, after: (error: unknown) => NextTry): Job {
  return { id, kind, payload: readPayload(payload), attempt, isLast: (error) => after(error) === undefined }
}

function triedAgain(job: TakenJob, error: unknown, { control, options }: RunContext): NextTry {
  const { isOutage, now = Date.now, random = Math.random } = options
  const kind = control.signal.aborted ? 'stopped' : isOutage(error) ? 'outage' : 'fault'
  return nextTry({ kind, attempt: job.attempt, ageMs: now() - job.addedAtMs }, options, random())
}

async function giveBack(
  job: TakenJob,
  error: unknown,
  { next, options }: { readonly next: NextTry; readonly options: EmbeddedQueueOptions },
): Promise<void> {
  const { table, log, now = Date.now } = options
  const message = error instanceof Error ? error.message : String(error)
  const change = next ? { runAtMs: now() + next.delayMs, counts: next.counts } : { diedAtMs: now() }
  const isHeld = await table.failed(job, message.slice(0, 1000), change)
  log.warn(isHeld && !next ? 'job_dead' : 'job_failed', { job: job.id, kind: job.kind, attempt: job.attempt, error })
}

/** Keeps the lease; a lost one stops the job, because another process has it now. Gives the function that ends it. */
function extendWhileRunning(job: TakenJob, { control, options }: RunContext): () => void {
  const { table, leaseMs, log, now = Date.now } = options
  const extend = async () => {
    const isHeld = await table.extend(job, now() + leaseMs).catch((error: unknown) => {
      log.warn('job_lease_not_extended', { job: job.id, error })
      return true
    })
    if (!isHeld) control.abort(new Error('the lease of the job was lost'))
  }
  const timer = setInterval(() => void extend(), leaseMs / 3)
  return () => clearInterval(timer)
}

async function drain(running: ReadonlyMap<Promise<void>, AbortController>, drainMs: number): Promise<void> {
  const ended = () => Promise.all(running.keys())
  const isDrained = await Promise.race([ended().then(() => true), sleep(drainMs, false, { ref: false })])
  if (isDrained) return
  for (const control of running.values()) control.abort(new Error('the server is shutting down'))
  await ended()
}

function readPayload(payload: string): Readonly<Record<string, string>> {
  return JSON.parse(payload) as Readonly<Record<string, string>>
}
