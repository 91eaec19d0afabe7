import { sql } from 'kysely'
import { unreferenced } from './release-objects.ts'
import type { ObjectRecord } from './records.ts'
import type { Connection, ObjectRow, StoreContext } from './schema.ts'
import type { ObjectStore } from './stores.ts'
import { changeUsage, lockUsage } from './usage.ts'

export function createObjectStore(context: StoreContext): ObjectStore {
  const { db } = context
  return {
    begin: (object) => beginObject(context, object),
    async find(key) {
      const row = await db.selectFrom('objects').selectAll().where('key', '=', key).executeTakeFirst()
      return row && toObject(row)
    },
    async forget(key) {
      // Only what was condemned: a row that was taken up again meanwhile stays.
      await db.deleteFrom('objects').where('key', '=', key).where('state', '=', 'deleting').execute()
    },
    abandoned: (...asked) => condemnAbandoned(context, ...asked),
    async page(afterKey, limit) {
      let query = db.selectFrom('objects').selectAll().orderBy('key').limit(limit)
      if (afterKey !== undefined) query = query.where('key', '>', afterKey)
      return (await query.execute()).map(toObject)
    },
  }
}

function toObject(row: ObjectRow): ObjectRecord {
  return {
    key: row.key,
    project: row.project,
    owner: row.owner,
    sha256: row.sha256,
    storedSha256: row.stored_sha256,
    byteLength: row.byte_length,
    state: row.state,
    createdAtMs: row.created_at_ms,
  }
}

async function beginObject(
  { db, now }: StoreContext,
  object: Parameters<ObjectStore['begin']>[0],
): Promise<ObjectRecord> {
  const { key, project, owner, sha256, storedSha256, byteLength } = object
  const atMs = now()
  // Touched, so that the sweeper leaves it alone until the upload refers to it.
  const same = await db
    .updateTable('objects')
    .set({ updated_at_ms: atMs })
    .where('project', '=', project)
    .where('owner', '=', owner)
    .where('stored_sha256', '=', storedSha256)
    .where('state', '=', sql.lit('stored'))
    .returningAll()
    .executeTakeFirst()
  if (same !== undefined) return toObject(same)
  const row = await db
    .insertInto('objects')
    .values({
      ...{ key, project, owner, sha256 },
      stored_sha256: storedSha256,
      byte_length: byteLength,
      state: 'writing',
      created_at_ms: atMs,
      updated_at_ms: atMs,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  return toObject(row)
}

/**
 * Condemns before it tells: an upload that takes up one of these objects from here on is refused, and writes its bytes anew under
 * another key, so that the caller may delete the bytes at leisure.
 */
async function condemnAbandoned(
  { db, now }: StoreContext,
  ...[untouchedSinceMs, limit, options]: Parameters<ObjectStore['abandoned']>
): Promise<readonly ObjectRecord[]> {
  const states = options?.isDeep ? (['writing', 'deleting', 'stored'] as const) : (['writing', 'deleting'] as const)
  let query = untouched(db, untouchedSinceMs).where('objects.state', 'in', states)
  if (options?.key !== undefined) query = query.where('objects.key', '=', options.key)
  const rows = await query.orderBy('updated_at_ms').limit(limit).execute()
  const objects = rows.map(toObject)
  if (options?.isDryRun) return objects
  const condemned = objects.map((object) =>
    object.state === 'deleting' ? Promise.resolve(object) : condemn({ db, now }, object, untouchedSinceMs),
  )
  return (await Promise.all(condemned)).filter((object) => object !== undefined)
}

function condemn(
  { db, now }: StoreContext,
  object: ObjectRecord,
  untouchedSinceMs: number,
): Promise<ObjectRecord | undefined> {
  return db.transaction().execute(async (tx) => {
    await lockUsage(tx, object)
    const [still] = await untouched(tx, untouchedSinceMs).where('objects.key', '=', object.key).execute()
    if (still === undefined) return undefined
    const row = await tx
      .updateTable('objects')
      .set({ state: 'deleting', updated_at_ms: now() })
      .where('key', '=', object.key)
      .where('updated_at_ms', '<=', untouchedSinceMs)
      .returningAll()
      .executeTakeFirst()
    if (row === undefined) return undefined
    if (still.state === 'stored') await changeUsage(tx, object, { storedBytes: -object.byteLength, objects: -1 })
    return toObject(row)
  })
}

function untouched(db: Connection, untouchedSinceMs: number) {
  return db.selectFrom('objects').selectAll().where('objects.updated_at_ms', '<=', untouchedSinceMs).where(unreferenced)
}
