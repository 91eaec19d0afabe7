import { Kysely } from 'kysely'
import { AppError } from '../errors.ts'
import { migrate, type MigrationReport } from './migrate.ts'
import { openDatabase, type SqliteDatabase } from './open-database.ts'
import type { Schema } from './schema.ts'
import { createChangeMark, createSqliteDialect, sqliteTables } from './sqlite-dialect.ts'

/** For switching the file to WAL, which another process may be doing; every later wait is the dialect's, and blocks nothing. */
const openTimeoutMs = 5000
const busyTimeoutMs = 5

export type OpenSqlite = {
  readonly db: Kysely<Schema>
  readonly changeMark: () => number
  readonly report: MigrationReport
}

/** Opens the file, or makes it, and brings it up to date. Throws when a newer release has been there before, or it cannot be used. */
export async function openSqlite(options: {
  readonly file: string
  readonly onQuery?: (query: { readonly sql: string; readonly parameters: readonly unknown[] }) => void
}): Promise<OpenSqlite> {
  const { file, onQuery } = options
  const database = openFile(file)
  try {
    database.pragma(`busy_timeout = ${busyTimeoutMs}`)
    const changeMark = createChangeMark(database)
    const db = new Kysely<Schema>({
      dialect: createSqliteDialect(database, changeMark.bump),
      ...(onQuery && { log: ({ query }) => onQuery(query) }),
    })
    const report = await migrate(db, sqliteTables)
    return { db, changeMark: changeMark.read, report }
  } catch (error) {
    database.close()
    throw error
  }
}

/** Durable: what a client was told is confirmed survives a power cut, too. Failures name the file: the operator has to look at it. */
function openFile(file: string): SqliteDatabase {
  try {
    return openDatabase(file, { busyTimeoutMs: openTimeoutMs, isDurable: true })
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new AppError('internal', { cause, detail: `The database ${file} cannot be opened: ${reason}.` })
  }
}
