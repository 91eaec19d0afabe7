import type { Kysely } from 'kysely'

/** What differs in table definitions from one database to the other. */
export type TableDialect = {
  readonly bigInteger: 'integer' | 'bigint'
  /** Compared byte by byte in both: what is read in the order of keys is walked beside listings that are sorted so. */
  readonly text: 'text' | 'text collate "C"'
  /** Stands behind every CREATE TABLE. */
  readonly tableEnd: 'strict' | ''
  /** Makes every later change of a row of that table known to all processes; nothing where the database tells it by itself. */
  readonly announceChanges: (db: Kysely<unknown>, table: string, on: readonly RowChange[]) => Promise<void>
}

export type RowChange = 'insert' | 'update' | 'delete'
