import type { Selectable } from 'kysely'
import type { ApiKeyRecord } from './records.ts'
import type { ApiKeysTable, StoreContext } from './schema.ts'
import type { ApiKeyStore } from './stores.ts'

export function createApiKeyStore({ db }: StoreContext): ApiKeyStore {
  return {
    async create({ id, name, project, scopes, createdAtMs }, secretHash) {
      const row = await db
        .insertInto('api_keys')
        .values({
          ...{ id, name, project },
          scopes: JSON.stringify(scopes),
          secret_hash: secretHash,
          created_at_ms: createdAtMs,
          last_used_at_ms: null,
          revoked_at_ms: null,
        })
        .returningAll()
        .executeTakeFirstOrThrow()
      return toApiKey(row)
    },
    async findByHash(secretHash) {
      const row = await db.selectFrom('api_keys').selectAll().where('secret_hash', '=', secretHash).executeTakeFirst()
      return row && toApiKey(row)
    },
    async list() {
      const rows = await db.selectFrom('api_keys').selectAll().orderBy('created_at_ms').orderBy('id').execute()
      return rows.map(toApiKey)
    },
    async revoke(id, nowMs) {
      const row = await db
        .updateTable('api_keys')
        .set({ revoked_at_ms: nowMs })
        .where('id', '=', id)
        .where('revoked_at_ms', 'is', null)
        .returning('id')
        .executeTakeFirst()
      return row !== undefined
    },
    async touch(id, nowMs) {
      await db.updateTable('api_keys').set({ last_used_at_ms: nowMs }).where('id', '=', id).execute()
    },
  }
}

function toApiKey(row: Selectable<ApiKeysTable>): ApiKeyRecord {
  return {
    id: row.id,
    name: row.name,
    project: row.project,
    scopes: JSON.parse(row.scopes) as string[],
    createdAtMs: row.created_at_ms,
    lastUsedAtMs: row.last_used_at_ms ?? undefined,
    revokedAtMs: row.revoked_at_ms ?? undefined,
  }
}
