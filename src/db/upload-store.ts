import { createUpload } from './create-upload.ts'
import { endUpload } from './end-upload.ts'
import { finishUpload } from './finish-upload.ts'
import type { UploadEvent, UploadRecord } from './records.ts'
import type { StoreContext } from './schema.ts'
import type { UploadStore } from './stores.ts'
import { isBehind, isOpen, moveUpload, openStates, toUpload } from './upload-rows.ts'
import { reviveUpload } from './revive-upload.ts'
import { findUsage, recountUsage } from './usage.ts'

type Move = UploadStore['move']

export function createUploadStore(context: StoreContext): UploadStore {
  const { db } = context
  return {
    create: (upload, options) => createUpload(context, upload, options),
    async freeIdempotency({ principal, key, uploadId }) {
      await db
        .deleteFrom('idempotency_keys')
        .where('principal', '=', principal)
        .where('key', '=', key)
        .where('upload_id', '=', uploadId)
        .execute()
    },
    async find(id) {
      const row = await db.selectFrom('uploads').selectAll().where('id', '=', id).executeTakeFirst()
      return row && toUpload(row)
    },
    async setMultipart(id, multipartId) {
      await db
        .updateTable('uploads')
        .set({ multipart_id: multipartId })
        .where('id', '=', id)
        .where('multipart_id', 'is', null)
        .execute()
      const row = await db.selectFrom('uploads').select('multipart_id').where('id', '=', id).executeTakeFirst()
      return row?.multipart_id ?? undefined
    },
    move: (...move) => moveOpen(context, ...move),
    finish: (id, result) => finishUpload(context, id, result),
    end: (id, from, to, why) => endUpload(context, id, { from, to }, why),
    revive: (id, quota) => reviveUpload(context, id, quota),
    events: (id) => listEvents(context, id),
    stale: (asked) => listStale(context, asked),
    async findByStagingKey(key) {
      const row = await db
        .selectFrom('uploads')
        .selectAll()
        .where('staging_key', '=', key)
        .where('state', 'in', [...openStates])
        .executeTakeFirst()
      return row && toUpload(row)
    },
    usage: (owner) => findUsage(db, owner),
    recount: (fix) => recountUsage(db, fix),
    async forgetIdempotency(untilMs) {
      const gone = await db.deleteFrom('idempotency_keys').where('until_ms', '<=', untilMs).returning('key').execute()
      return gone.length
    },
  }
}

/** Between states that hold quota back; `finish` and `end` are the ways out, because they settle it. */
async function moveOpen({ db, now }: StoreContext, ...[id, from, to, change = {}]: Parameters<Move>): ReturnType<Move> {
  const settled = [...from, to].find((state) => !isOpen(state))
  if (settled !== undefined) throw new Error(`an upload is moved from or to ${settled} by finish and end only`)
  const { byteLength, contentType, sha256, fact } = change
  const moved = await db.transaction().execute((tx) =>
    moveUpload(
      tx,
      id,
      { from, to, atMs: now() },
      {
        ...(byteLength !== undefined && { byte_length: byteLength }),
        ...(contentType !== undefined && { content_type: contentType }),
        ...(sha256 !== undefined && { sha256 }),
        ...(fact && { fact }),
      },
    ),
  )
  return moved?.upload
}

async function listEvents({ db }: StoreContext, id: string): Promise<UploadEvent[]> {
  const rows = await db.selectFrom('upload_events').selectAll().where('upload_id', '=', id).orderBy('number').execute()
  return rows.map((row) => ({
    atMs: row.at_ms,
    from: row.from_state ?? undefined,
    to: row.to_state,
    fact: JSON.parse(row.fact) as UploadEvent['fact'],
  }))
}

async function listStale(
  { db }: StoreContext,
  asked: Parameters<UploadStore['stale']>[0],
): Promise<readonly UploadRecord[]> {
  const { states, untouchedSinceMs, expiredAtMs, after, limit } = asked
  if (states.length === 0 || (untouchedSinceMs === undefined && expiredAtMs === undefined)) return []
  const rows = await db
    .selectFrom('uploads')
    .selectAll()
    .where('state', 'in', [...states])
    .where((where) =>
      where.or([
        ...(untouchedSinceMs === undefined ? [] : [where('updated_at_ms', '<=', untouchedSinceMs)]),
        ...(expiredAtMs === undefined ? [] : [where('expires_at_ms', '<=', expiredAtMs)]),
      ]),
    )
    .$if(after !== undefined, (query) => query.where(isBehind(after)))
    .orderBy('updated_at_ms')
    .orderBy('id')
    .limit(limit)
    .execute()
  return rows.map(toUpload)
}
