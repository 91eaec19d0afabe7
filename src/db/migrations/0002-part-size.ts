import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import type { TableDialect } from '../table-dialect.ts'

/** How an upload in parts was cut belongs to the upload: the setting may change while its parts are under way. */
export function partSizeMigration(dialect: TableDialect): Migration {
  return {
    async up(db: Kysely<unknown>) {
      await db.schema.alterTable('uploads').addColumn('part_bytes', dialect.bigInteger).execute()
    },
  }
}
