import { sql } from 'kysely'
import type { TableDialect } from './table-dialect.ts'

/** The channel on which every transaction that changed what is served says so when it is committed. */
export const changesChannel = 'halftone_changes'

/** Tables of PostgreSQL, which is strict by itself. */
export const postgresTables: TableDialect = {
  bigInteger: 'bigint',
  text: 'text collate "C"',
  tableEnd: '',
  async announceChanges(db, table, on) {
    await sql
      .raw(
        `create or replace function halftone_announce() returns trigger language plpgsql as
        $$ begin perform pg_notify('${changesChannel}', ''); return null; end $$`,
      )
      .execute(db)
    for (const change of on) {
      // Rows are written as they are only to hold them, and nobody has to hear of that.
      const when = change === 'update' ? 'when (old.* is distinct from new.*)' : ''
      await sql
        .raw(
          `create trigger ${table}_${change}_announced after ${change} on ${table}
          for each row ${when} execute function halftone_announce()`,
        )
        .execute(db)
    }
  },
}
