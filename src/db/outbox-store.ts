import { sql, type Selectable } from 'kysely'
import type { OutboxRecord } from './records.ts'
import type { OutboxTable, StoreContext } from './schema.ts'
import type { OutboxStore } from './stores.ts'

export function createOutboxStore(context: StoreContext): OutboxStore {
  const { db, now } = context
  return {
    take: (...asked) => takeMessages(context, ...asked),
    async delivered(id, nowMs) {
      await db
        .updateTable('outbox')
        .set({ state: 'delivered', last_error: null, updated_at_ms: nowMs })
        .where('id', '=', id)
        .execute()
    },
    async failed(id, error, nextAttemptAtMs) {
      await db
        .updateTable('outbox')
        .set({
          last_error: error,
          updated_at_ms: now(),
          ...(nextAttemptAtMs === undefined ? { state: 'dead' as const } : { next_attempt_at_ms: nextAttemptAtMs }),
        })
        .where('id', '=', id)
        .where('state', '=', 'waiting')
        .execute()
    },
    async find(id) {
      const row = await db.selectFrom('outbox').selectAll().where('id', '=', id).executeTakeFirst()
      return row && toMessage(row)
    },
    async list({ project, state, limit }) {
      let query = db
        .selectFrom('outbox')
        .selectAll()
        .orderBy('created_at_ms', 'desc')
        .orderBy('id', 'desc')
        .limit(limit)
      if (project !== undefined) query = query.where('project', '=', project)
      if (state !== undefined) query = query.where('state', '=', state)
      return (await query.execute()).map(toMessage)
    },
    async replay(id, nowMs) {
      const row = await db
        .updateTable('outbox')
        .set({ state: 'waiting', attempts: 0, next_attempt_at_ms: nowMs, updated_at_ms: nowMs })
        .where('id', '=', id)
        .returning('id')
        .executeTakeFirst()
      return row !== undefined
    },
    replayDead: (...asked) => replayDead(context, ...asked),
    async stats() {
      const rows = await db
        .selectFrom('outbox')
        .select(['state', ({ fn }) => fn.countAll().as('messages')])
        .where('state', 'in', ['waiting', 'dead'])
        .groupBy('state')
        .execute()
      const of = (state: string) => Number(rows.find((row) => row.state === state)?.messages ?? 0)
      return { waiting: of('waiting'), dead: of('dead') }
    },
    async forgetDelivered(untilMs) {
      const gone = await db
        .deleteFrom('outbox')
        .where('state', '=', 'delivered')
        .where('updated_at_ms', '<=', untilMs)
        .returning('id')
        .execute()
      return gone.length
    },
  }
}

/** A lease is a later next attempt. The condition is repeated in the UPDATE: what another process took meanwhile no longer meets it. */
async function takeMessages(
  { db }: StoreContext,
  ...[limit, nowMs, leaseMs, except = []]: Parameters<OutboxStore['take']>
): Promise<readonly OutboxRecord[]> {
  let query = db
    .selectFrom('outbox')
    .select('id')
    .where('state', '=', sql.lit('waiting'))
    .where('next_attempt_at_ms', '<=', nowMs)
    .orderBy('next_attempt_at_ms')
    .limit(limit)
  if (except.length > 0) query = query.where('project', 'not in', except)
  const due = await query.execute()
  if (due.length === 0) return []
  const ids = due.map(({ id }) => id)
  const taken = await db
    .updateTable('outbox')
    .set({ attempts: sql`attempts + 1`, next_attempt_at_ms: nowMs + leaseMs, updated_at_ms: nowMs })
    .where('id', 'in', ids)
    .where('state', '=', sql.lit('waiting'))
    .where('next_attempt_at_ms', '<=', nowMs)
    .returningAll()
    .execute()
  return taken.map(toMessage).sort((a, b) => ids.indexOf(a.id) - ids.indexOf(b.id))
}

/** The state once more in the UPDATE: of two that replay at once, each message is taken up by one. */
async function replayDead(
  { db }: StoreContext,
  ...[{ project, type, sinceMs, limit }, nowMs]: Parameters<OutboxStore['replayDead']>
): Promise<number> {
  let query = db
    .selectFrom('outbox')
    .select('id')
    .where('project', '=', project)
    .where('state', '=', 'dead')
    .orderBy('created_at_ms')
    .orderBy('id')
    .limit(limit)
  if (type !== undefined) query = query.where('type', '=', type)
  if (sinceMs !== undefined) query = query.where('created_at_ms', '>=', sinceMs)
  const ids = (await query.execute()).map(({ id }) => id)
  if (ids.length === 0) return 0
  const replayed = await db
    .updateTable('outbox')
    .set({ state: 'waiting', attempts: 0, next_attempt_at_ms: nowMs, updated_at_ms: nowMs })
    .where('id', 'in', ids)
    .where('state', '=', 'dead')
    .returning('id')
    .execute()
  return replayed.length
}

function toMessage(row: Selectable<OutboxTable>): OutboxRecord {
  return {
    id: row.id,
    project: row.project,
    type: row.type,
    payload: row.payload,
    state: row.state,
    attempts: row.attempts,
    nextAttemptAtMs: row.next_attempt_at_ms,
    lastError: row.last_error ?? undefined,
    createdAtMs: row.created_at_ms,
  }
}
