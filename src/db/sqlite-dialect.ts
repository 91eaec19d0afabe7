import { setTimeout as sleep } from 'node:timers/promises'
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

/** How long a write waits for another process; one that is given up is an upload lost. Transactions take milliseconds. */
const lockWaitMs = 5000
const longestPauseMs = 20

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
      const driver = new SqliteDriver({
        database: keepStatements(database, onWrite),
        onCreateConnection: (connection) => {
          const execute = connection.executeQuery.bind(connection)
          connection.executeQuery = (query) => untilFree(() => execute(query))
          return Promise.resolve()
        },
      })
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

/**
 * SQLite's own waiting blocks the whole process, and for good when the lock is held by another connection of it. A statement that found
 * the database busy did nothing, and inside a transaction none does, so it is simply tried again.
 */
async function untilFree<T>(work: () => Promise<T>): Promise<T> {
  const untilMs = performance.now() + lockWaitMs
  for (let pauseMs = 1; ; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
    try {
      return await work()
    } catch (error) {
      if (!isBusy(error) || performance.now() > untilMs) throw error
      await sleep(pauseMs)
    }
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'SQLITE_BUSY'
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
