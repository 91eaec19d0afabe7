import { SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler, type Dialect } from 'kysely'
import type { GroupedDatabase, GroupedStatement } from './commit-groups.ts'
import { createGroupCommitDriver } from './group-commit-driver.ts'
import { createLockWait } from './lock-wait.ts'
import type { SqliteDatabase } from './open-database.ts'
import type { TableDialect } from './table-dialect.ts'

/** Prepared statements that are kept; the stores have fewer different ones, but for lists of changing length. */
const keptStatements = 300

/** How long a write waits for another process; one that is given up is an upload lost. Transactions take milliseconds. */
const lockWaitMs = 5000

/** STRICT: SQLite would otherwise store a text in a number's place without a word. */
export const sqliteTables: TableDialect = {
  bigInteger: 'integer',
  text: 'text',
  tableEnd: 'strict',
  announceChanges: () => Promise.resolve(),
}

/**
 * SQLite as the stores need it: transactions take the write lock when they begin (one that reads first and writes later could not wait
 * for another process, it would fail), share the waiting for the disk, tables change inside transactions, and statements are prepared
 * once. `onWrite` follows every statement that changed a row, and the commit that makes it last.
 */
export function createSqliteDialect(
  database: SqliteDatabase,
  onWrite: () => void,
  options: { readonly lockWaitMs?: number } = {},
): Dialect {
  const lock = createLockWait(options.lockWaitMs ?? lockWaitMs)
  return {
    createDriver: () => createGroupCommitDriver(keepStatements(database, onWrite), lock),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createAdapter: () => new TransactionalAdapter(),
    createIntrospector: (db) => new SqliteIntrospector(db),
  }
}

/** Kysely is careful where this is not: CREATE TABLE does roll back, and the driver keeps transactions apart itself. */
class TransactionalAdapter extends SqliteAdapter {
  override get supportsMultipleConnections(): boolean {
    return true
  }
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
  // What cannot be asked now (another process puts the log in order) may have changed.
  const ask = (): unknown => {
    try {
      return dataVersion.get()
    } catch {
      return undefined
    }
  }
  let seen: unknown
  let mark = 0
  return {
    bump: () => void (mark += 1),
    read() {
      const now = ask()
      if (now === undefined || now !== seen) mark += 1
      seen = now
      return mark
    },
  }
}

function keepStatements(database: SqliteDatabase, onWrite: () => void): GroupedDatabase {
  const kept = new Map<string, GroupedStatement>()
  let isChanged = false
  const onChange = () => {
    isChanged = true
    onWrite()
  }
  const onEnd = () => {
    if (isChanged) onWrite()
    isChanged = false
  }
  return {
    prepare(sql) {
      const found = kept.get(sql)
      if (found) return found
      const made = isEnd(sql) ? prepareEnd(database, sql, onEnd) : prepare(database, sql, onChange)
      const [oldest] = kept.keys()
      if (kept.size >= keptStatements && oldest !== undefined) kept.delete(oldest)
      kept.set(sql, made)
      return made
    },
    isInTransaction: () => database.inTransaction,
    close: () => void database.close(),
  }
}

const isEnd = (sql: string) => sql === 'commit' || sql === 'rollback'

/** Makes what was changed before true for others, or undoes it. */
function prepareEnd(database: SqliteDatabase, sql: string, onEnd: () => void): GroupedStatement {
  const statement = database.prepare(sql)
  return {
    ...{ isWriting: false, reader: false },
    all: () => [],
    run() {
      try {
        return statement.run()
      } finally {
        onEnd()
      }
    },
  }
}

/** A look for work that finds none changes nothing: else every poll of a queue would make unbelievable all that was read before. */
function prepare(database: SqliteDatabase, sql: string, onChange: () => void): GroupedStatement {
  const statement = database.prepare(sql)
  const isWriting = !statement.readonly
  return {
    ...{ isWriting, reader: statement.reader },
    all(parameters) {
      const rows = statement.all(parameters)
      if (isWriting && rows.length > 0) onChange()
      return rows
    },
    run(parameters) {
      const done = statement.run(parameters)
      if (isWriting && done.changes > 0) onChange()
      return done
    },
  }
}
