import { sql, type Selectable } from 'kysely'
import type { ShareRecord } from './records.ts'
import type { SharesTable, StoreContext } from './schema.ts'
import type { ShareStore } from './stores.ts'

export function createShareStore({ db }: StoreContext): ShareStore {
  return {
    async create(share) {
      const { id, params, imageId, createdBy, expiresAtMs, maxUses, createdAtMs } = share
      const row = await db
        .insertInto('shares')
        .values({
          id,
          image_id: imageId,
          created_by: createdBy,
          expires_at_ms: expiresAtMs,
          max_uses: maxUses ?? null,
          uses: 0,
          params: params ?? null,
          revoked_at_ms: null,
          created_at_ms: createdAtMs,
        })
        .returningAll()
        .executeTakeFirstOrThrow()
      return toShare(row)
    },
    async find(id) {
      const row = await db.selectFrom('shares').selectAll().where('id', '=', id).executeTakeFirst()
      return row && toShare(row)
    },
    async list(imageId) {
      const rows = await db
        .selectFrom('shares')
        .selectAll()
        .where('image_id', '=', imageId)
        .orderBy('created_at_ms', 'desc')
        .execute()
      return rows.map(toShare)
    },
    async revoke(imageId, id, nowMs) {
      const row = await db
        .updateTable('shares')
        .set({ revoked_at_ms: nowMs })
        .where('id', '=', id)
        .where('image_id', '=', imageId)
        .where('revoked_at_ms', 'is', null)
        .returning('id')
        .executeTakeFirst()
      return row !== undefined
    },
    async use(id, nowMs) {
      const row = await db
        .updateTable('shares')
        .set({ uses: sql`uses + 1` })
        .where('id', '=', id)
        .where('revoked_at_ms', 'is', null)
        .where('expires_at_ms', '>', nowMs)
        .where((where) => where.or([where('max_uses', 'is', null), where('uses', '<', where.ref('max_uses'))]))
        .returning('id')
        .executeTakeFirst()
      return row !== undefined
    },
  }
}

function toShare(row: Selectable<SharesTable>): ShareRecord {
  return {
    id: row.id,
    imageId: row.image_id,
    createdBy: row.created_by,
    expiresAtMs: row.expires_at_ms,
    maxUses: row.max_uses ?? undefined,
    uses: row.uses,
    params: row.params ?? undefined,
    revokedAtMs: row.revoked_at_ms ?? undefined,
    createdAtMs: row.created_at_ms,
  }
}
