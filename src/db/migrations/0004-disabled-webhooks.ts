import { sql, type Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import type { TableDialect } from '../table-dialect.ts'

/** Receivers that said that they are gone: every process and the next start know it, too. */
export function disabledWebhooksMigration(dialect: TableDialect): Migration {
  return {
    async up(db: Kysely<unknown>) {
      await db.schema
        .createTable('disabled_webhooks')
        .modifyEnd(sql.raw(dialect.tableEnd))
        .addColumn('project', sql.raw(dialect.text), (column) => column.notNull())
        .addColumn('endpoint', sql.raw(dialect.text), (column) => column.notNull())
        .addColumn('reason', sql.raw(dialect.text), (column) => column.notNull())
        .addColumn('at_ms', dialect.bigInteger, (column) => column.notNull())
        .addPrimaryKeyConstraint('disabled_webhooks_key', ['project'])
        .execute()
    },
  }
}
