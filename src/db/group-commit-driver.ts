import type { CompiledQuery, DatabaseConnection, Driver, QueryResult } from 'kysely'
import { createCommitGroups, type CommitGroup, type CommitGroups, type GroupedDatabase } from './commit-groups.ts'
import type { LockWait } from './lock-wait.ts'

/** A transaction under way: its group, and the turn that it holds. */
type Member = { readonly group: CommitGroup; readonly freeTurn: () => void }

/**
 * Kysely's driver over commit groups: each transaction is a savepoint, and all others wait for its end. Nobody is told of anything before
 * the disk has it: who only reads may have seen what is not committed yet, and waits, too; where nothing is under way it reads at once.
 */
export function createGroupCommitDriver(database: GroupedDatabase, lock: LockWait): Driver {
  const groups = createCommitGroups(database, lock)
  const members = new WeakMap<DatabaseConnection, Member>()
  const run = (sql: string) => void database.prepare(sql).run([])

  /** Ends a transaction within its group, by which it becomes true. */
  const leave = (connection: DatabaseConnection, statements: readonly string[]): CommitGroup | undefined => {
    const member = members.get(connection)
    members.delete(connection)
    try {
      if (member && member.group === groups.open()) groups.run(() => statements.forEach(run))
    } finally {
      member?.freeTurn()
    }
    return member?.group
  }

  return {
    init: () => Promise.resolve(),
    acquireConnection() {
      const connection = createConnection(async (query) => {
        const member = members.get(connection)
        if (member) return executeInside(query, member, { groups, database })
        return lock.untilFree(() => executeAlone(query, { groups, database }))
      })
      return Promise.resolve(connection)
    },
    releaseConnection: () => Promise.resolve(),
    async beginTransaction(connection) {
      const { group, freeTurn } = await groups.enter()
      try {
        groups.run(() => run('savepoint member'))
        members.set(connection, { group, freeTurn })
      } catch (error) {
        freeTurn()
        throw error
      }
    },
    commitTransaction: async (connection) => leave(connection, ['release member'])?.committed,
    async rollbackTransaction(connection) {
      // Why it failed may lie in what others have not committed yet.
      await leave(connection, ['rollback to member', 'release member'])?.committed.catch(() => undefined)
    },
    async destroy() {
      try {
        await groups.close()
      } finally {
        database.close()
      }
    },
  }
}

type Parts = { readonly groups: CommitGroups; readonly database: GroupedDatabase }

async function executeAlone(query: CompiledQuery, { groups, database }: Parts): Promise<QueryResult<unknown>> {
  const { isWriting } = database.prepare(query.sql)
  if (!isWriting && !groups.open()) return groups.readCommitted(() => execute(query, database))
  const { group, freeTurn } = isWriting
    ? await groups.enter()
    : { freeTurn: await groups.takeTurn(), group: groups.open() }
  let result: QueryResult<unknown>
  try {
    result = groups.run(() => execute(query, database))
  } finally {
    freeTurn()
  }
  await group?.committed
  return result
}

function executeInside(query: CompiledQuery, { group }: Member, { groups, database }: Parts): QueryResult<unknown> {
  // Outside of it a statement would be true at once, and alone.
  if (group !== groups.open()) throw new Error('the transaction was ended before by an error')
  return groups.run(() => execute(query, database))
}

function execute({ sql, parameters }: CompiledQuery, database: GroupedDatabase): QueryResult<unknown> {
  const statement = database.prepare(sql)
  if (statement.reader) return { rows: statement.all(parameters) }
  return { rows: [], numAffectedRows: BigInt(statement.run(parameters).changes) }
}

function createConnection(execute: (query: CompiledQuery) => Promise<QueryResult<unknown>>): DatabaseConnection {
  return {
    executeQuery: <Row>(query: CompiledQuery) => execute(query) as Promise<QueryResult<Row>>,
    streamQuery: () => {
      throw new Error('rows are not streamed')
    },
  }
}
