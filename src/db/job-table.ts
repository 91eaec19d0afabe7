import { sql, type RawBuilder } from 'kysely'
import type { JobsTable, StoreContext } from './schema.ts'
import type { DeadJobRow, DeadOf, JobHold, JobTable } from './stores.ts'
import { toUpload } from './upload-rows.ts'

/** How often a job that another process was quicker to take makes us look for the next. */
const takeTries = 10

// As a literal, so that it matches the condition of the partial indices.
const alive = sql<boolean>`state <> 'dead'`

const hasNoTwin = sql<boolean>`not exists (select 1 from jobs as twin
  where twin.dedupe_key = jobs.dedupe_key and twin.state <> 'dead')`

export function createJobTable(context: StoreContext): JobTable {
  const { db } = context
  return {
    add: (job) => addJob(context, job),
    async take(kinds, nowMs, leaseUntilMs) {
      for (let tries = 0; tries < takeTries; tries++) {
        const id = await firstDue(context, kinds, nowMs)
        if (id === undefined) return undefined
        const taken = await takeJob(context, id, { nowMs, leaseUntilMs })
        if (taken !== undefined) return taken
      }
      return undefined
    },
    extend: (hold, leaseUntilMs) => changeHeld(context, hold, { due_at_ms: leaseUntilMs }),
    async done({ id, lease }) {
      const row = await db
        .deleteFrom('jobs')
        .where('id', '=', id)
        .where('lease', '=', lease)
        .where('state', '=', 'running')
        .returning('id')
        .executeTakeFirst()
      return row !== undefined
    },
    failed: (hold, error, next) =>
      changeHeld(context, hold, {
        last_error: error,
        ...('runAtMs' in next
          ? { state: 'waiting', due_at_ms: next.runAtMs, ...(!next.counts && { attempts: sql<number>`attempts - 1` }) }
          : { state: 'dead', died_at_ms: next.diedAtMs }),
      }),
    async nextDueAtMs(kinds) {
      const row = await db
        .selectFrom('jobs')
        .select('due_at_ms')
        .where(alive)
        .where('kind', 'in', [...kinds])
        .orderBy('due_at_ms')
        .limit(1)
        .executeTakeFirst()
      return row?.due_at_ms
    },
    async stats() {
      const rows = await db
        .selectFrom('jobs')
        .select(['state', ({ fn }) => fn.countAll().as('jobs')])
        .groupBy('state')
        .execute()
      const of = (state: string) => Number(rows.find((row) => row.state === state)?.jobs ?? 0)
      return { waiting: of('waiting'), running: of('running'), dead: of('dead') }
    },
    dead: (limit) => listDead(context, limit),
    deadOf: (asked) => listDeadOf(context, asked),
    retryDead: (id, nowMs) => reviveJob(context, id, nowMs),
  }
}

async function addJob({ db, now }: StoreContext, job: Parameters<JobTable['add']>[0]): Promise<boolean> {
  const { id, kind, payload, dedupeKey, runAtMs } = job
  const row = await db
    .insertInto('jobs')
    .values({
      ...{ id, kind, payload },
      dedupe_key: dedupeKey,
      state: 'waiting',
      attempts: 0,
      lease: 0,
      due_at_ms: runAtMs,
      last_error: null,
      created_at_ms: now(),
      died_at_ms: null,
    })
    .onConflict((conflict) => conflict.column('dedupe_key').where(alive).doNothing())
    .returning('id')
    .executeTakeFirst()
  return row !== undefined
}

async function firstDue({ db }: StoreContext, kinds: readonly string[], nowMs: number): Promise<string | undefined> {
  const row = await db
    .selectFrom('jobs')
    .select('id')
    .where(alive)
    .where('due_at_ms', '<=', nowMs)
    .where('kind', 'in', [...kinds])
    .orderBy('due_at_ms')
    .limit(1)
    .executeTakeFirst()
  return row?.id
}

/** The condition once more: of two processes that found the same job, the second finds it leased. */
async function takeJob(
  { db }: StoreContext,
  id: string,
  { nowMs, leaseUntilMs }: { readonly nowMs: number; readonly leaseUntilMs: number },
): Promise<Awaited<ReturnType<JobTable['take']>>> {
  const row = await db
    .updateTable('jobs')
    .set({ state: 'running', attempts: sql`attempts + 1`, lease: sql`lease + 1`, due_at_ms: leaseUntilMs })
    .where('id', '=', id)
    .where(alive)
    .where('due_at_ms', '<=', nowMs)
    .returning(['id', 'lease', 'kind', 'payload', 'attempts as attempt', 'created_at_ms'])
    .executeTakeFirst()
  if (row === undefined) return undefined
  const { created_at_ms: addedAtMs, ...job } = row
  return { ...job, addedAtMs }
}

type Change = {
  readonly due_at_ms?: number
  readonly state?: 'waiting' | 'dead'
  readonly attempts?: RawBuilder<number>
  readonly last_error?: string
  readonly died_at_ms?: number
}

async function changeHeld({ db }: StoreContext, { id, lease }: JobHold, change: Change): Promise<boolean> {
  const row = await db
    .updateTable('jobs')
    .set(change)
    .where('id', '=', id)
    .where('lease', '=', lease)
    .where('state', '=', 'running')
    .returning('id')
    .executeTakeFirst()
  return row !== undefined
}

async function listDead({ db }: StoreContext, limit: number): Promise<readonly DeadJobRow[]> {
  const rows = await db
    .selectFrom('jobs')
    .select(deadColumns)
    .where('jobs.state', '=', 'dead')
    .orderBy('died_at_ms', 'desc')
    .limit(limit)
    .execute()
  return rows.map(toDeadJob)
}

async function listDeadOf(
  { db }: StoreContext,
  { project, id, sinceMs, first, limit }: DeadOf,
): ReturnType<JobTable['deadOf']> {
  const direction = first === 'oldest' ? 'asc' : 'desc'
  const rows = await db
    .selectFrom('jobs')
    .innerJoin('uploads', 'uploads.id', 'jobs.dedupe_key')
    .selectAll('uploads')
    .select(deadColumns)
    .where('jobs.state', '=', 'dead')
    .where('uploads.project', '=', project)
    .$if(id !== undefined, (query) => query.where('jobs.id', '=', id ?? ''))
    .$if(sinceMs !== undefined, (query) => query.where('died_at_ms', '>=', sinceMs ?? 0))
    .orderBy('died_at_ms', direction)
    .orderBy('jobs.id', direction)
    .limit(limit)
    .execute()
  return rows.map((row) => ({ job: toDeadJob(row), upload: toUpload(row) }))
}

// Under names of their own: uploads have an id and a kind, too.
const deadColumns = [
  'jobs.id as job_id',
  'jobs.kind as job_kind',
  'payload',
  'attempts',
  'last_error',
  'died_at_ms',
] as const

function toDeadJob(
  row: Pick<JobsTable, 'payload' | 'attempts' | 'last_error' | 'died_at_ms'> & {
    readonly job_id: string
    readonly job_kind: string
  },
): DeadJobRow {
  const { job_id: id, job_kind: kind, payload, attempts } = row
  return { id, kind, payload, attempts, lastError: row.last_error ?? '', diedAtMs: row.died_at_ms ?? 0 }
}

/** The lease goes on counting, so that no holder of before comes to life with it. */
async function reviveJob({ db }: StoreContext, id: string, nowMs: number): Promise<boolean> {
  const row = await db
    .updateTable('jobs')
    .set({ state: 'waiting', attempts: 0, created_at_ms: nowMs, due_at_ms: nowMs, died_at_ms: null })
    .where('id', '=', id)
    .where('state', '=', 'dead')
    .where(hasNoTwin)
    .returning('id')
    .executeTakeFirst()
  return row !== undefined
}
