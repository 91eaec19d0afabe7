import {
  CompiledQuery,
  SqliteAdapter,
  SqliteDriver,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type Dialect,
  type SqliteDatabase as KyselyDatabase,
  type SqliteStatement,
} from 'kysely'
import type { SqliteDatabase } from './open-database.ts'
import type { TableDialect } from './table-dialect.ts'

/** Prepared statements that are kept; the stores have fewer different ones, but for lists of changing length. */
const keptStatements = 300

/** STRICT: SQLite would otherwise store a text in a number's place without a word. */
export const sqliteTables: TableDialect = { bigInteger: 'integer', tableEnd: 'strict' }

/**
 * SQLite as the stores need it: transactions take the write lock when they begin (one that reads first and writes later could not wait
 * for another process, it would fail), tables change inside transactions, and statements are prepared once. `onWrite` follows every
 * statement that may have changed a row.
 */
export function createSqliteDialect(database: SqliteDatabase, onWrite: () => void): Dialect {
  return {
    createDriver() {
      const driver = new SqliteDriver({ database: keepStatements(database, onWrite) })
      driver.beginTransaction = async (connection) => {
        await connection.executeQuery(CompiledQuery.raw('begin immediate'))
      }
      return driver
    },
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createAdapter: () => new TransactionalAdapter(),
    createIntrospector: (db) => new SqliteIntrospector(db),
  }
}

/** Kysely is careful where SQLite is not: CREATE TABLE does roll back. */
class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true
  }
}

/**
 * The counter of this process joined with SQLite's own mark of what other connections committed. Both only say "something changed", so
 * one number that moves whenever either does is enough.
 */
export function createChangeMark(database: SqliteDatabase): { readonly bump: () => void; readonly read: () => number } {
  const dataVersion = database.prepare('PRAGMA data_version').pluck()
  let seen: unknown
  let mark = 0
  return {
    bump: () => void (mark += 1),
    read() {
      const now = dataVersion.get()
      if (now !== seen) mark += 1
      seen = now
      return mark
    },
  }
}

function keepStatements(database: SqliteDatabase, onWrite: () => void): KyselyDatabase {
  const kept = new Map<string, SqliteStatement>()
  return {
    prepare(sql) {
      const found = kept.get(sql)
      if (found) return found
      const made = prepare(database, sql, onWrite)
      const [oldest] = kept.keys()
      if (kept.size >= keptStatements && oldest !== undefined) kept.delete(oldest)
      kept.set(sql, made)
      return made
    },
    close: () => void database.close(),
  }
}

function prepare(database: SqliteDatabase, sql: string, onWrite: () => void): SqliteStatement {
  const statement = database.prepare(sql)
  // SQLite counts COMMIT as reading, but it is what makes the rows of a transaction visible.
  const isWriting = !statement.readonly || sql === 'commit'
  const marked = <T>(work: () => T): T => {
    try {
      return work()
    } finally {
      if (isWriting) onWrite()
    }
  }
  return {
    reader: statement.reader,
    all: (parameters) => marked(() => statement.all(parameters)),
    run: (parameters) => marked(() => statement.run(parameters)),
    iterate: (parameters) => statement.iterate(parameters),
  }
}
