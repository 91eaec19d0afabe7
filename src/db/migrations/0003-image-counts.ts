import { sql, type Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import type { TableDialect } from '../table-dialect.ts'

/** Images are counted beside stored objects, of which duplicates need only one. */
export function imageCountsMigration(dialect: TableDialect): Migration {
  return {
    async up(db: Kysely<unknown>) {
      await db.schema
        .alterTable('usages')
        .addColumn('images', dialect.bigInteger, (column) => column.notNull().defaultTo(0))
        .execute()
      await sql`update usages set images = (select count(*) from images where images.project = usages.project
        and images.owner = usages.owner and images.state in ('ready', 'quarantined'))`.execute(db)
    },
  }
}
