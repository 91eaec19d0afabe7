/** A piece of background work. State lives in the record it names, never only here. */
export type Job = {
  readonly id: string
  readonly kind: string
  readonly payload: Readonly<Record<string, string>>
  /** 1 for the first try; those that met an outage, or were stopped with the server, do not count. */
  readonly attempt: number
  /** Whether the job is given up when this try ends with that error. */
  readonly isLast: (error: unknown) => boolean
}

export type JobOptions = {
  /** One waiting or running job for each; adding it again is no second one. */
  readonly dedupeKey: string
  readonly delayMs?: number
}

export type DeadJob = {
  readonly id: string
  readonly kind: string
  readonly payload: Readonly<Record<string, string>>
  readonly attempts: number
  readonly lastError: string
  readonly diedAtMs: number
}

/**
 * Throws when the work failed for now. It is tried again with backoff, and then kept as dead: after `maxAttempts` faults, or when there
 * have been outages for too long.
 */
export type JobHandler = (job: Job, signal: AbortSignal) => Promise<void>

/**
 * At least once: a job whose process was killed is run again after its lease. Implementations: embedded (a table of the
 * database), BullMQ.
 */
export interface JobQueue {
  add(kind: string, payload: Readonly<Record<string, string>>, options: JobOptions): Promise<void>
  /** Starts taking jobs. */
  work(handlers: Readonly<Record<string, JobHandler>>): void
  stats(): Promise<{ waiting: number; running: number; dead: number }>
  dead(limit: number): Promise<readonly DeadJob[]>
  retryDead(id: string): Promise<boolean>
  /** Takes no more jobs, and waits for those that run until the deadline. */
  close(): Promise<void>
}
