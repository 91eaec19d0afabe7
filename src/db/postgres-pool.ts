import type { PostgresPool, PostgresPoolClient } from 'kysely'
import {
  Client,
  Pool,
  types as pgTypes,
  type ClientConfig,
  type CustomTypesConfig,
  type PoolClient,
  type QueryResult,
} from 'pg'
import type { PostgresConfig } from '../config/config.ts'
import { codeOf, databaseOut, toStoreFailure } from './postgres-failure.ts'

/** For a connection that is free, or a new one: a database that is there gives one within milliseconds. */
export const connectTimeoutMs = 5000

/** How long a statement waits for rows that another transaction holds, as on SQLite. Transactions take milliseconds. */
const lockTimeoutMs = 5000

/** Beyond the time that the server has: it says itself that it was too slow, unless the network swallows it. */
const graceMs = 2000

const idleTimeoutMs = 60_000

/** Object ids of types whose values PostgreSQL sends as texts: 64-bit integers, and the sums of such. */
const numericTypes: ReadonlySet<number> = new Set([pgTypes.builtins.INT8, pgTypes.builtins.NUMERIC])

/** Bytes and Unix ms stay far below the 2^53 from which a number is no longer exact. */
const types: CustomTypesConfig = {
  getTypeParser: ((...asked: Parameters<typeof pgTypes.getTypeParser>): unknown =>
    numericTypes.has(asked[0]) ? Number : pgTypes.getTypeParser(...asked)) as typeof pgTypes.getTypeParser,
}

export type PoolEvents = {
  /** After everything that may have changed a row, as soon as that is known here. */
  readonly onWrite: () => void
  readonly onLost: (error: Error) => void
}

/** What a connection of its own is made from; the keep-alive finds peers that went away without a word. */
export function clientOptions(url: string): ClientConfig {
  return {
    ...{ connectionString: url, connectionTimeoutMillis: connectTimeoutMs, keepAlive: true, types },
    fallback_application_name: 'halftone',
  }
}

/**
 * A client whose socket is closed with the connection's first fault: the driver leaves it open where it gives up halfway through signing
 * in, and the process does not end before the server loses patience (60 s).
 */
function createPooledClient(options: ClientConfig): Client {
  const client = new Client(options)
  const { connection } = client
  connection.on('error', () => void connection.stream.destroy())
  return client
}

/**
 * The pool as Kysely's dialect wants it, with what the stores need beside: every wait has an end, a connection that did not keep its
 * time is thrown away, what the driver throws is told as `toStoreFailure` says, and every write is noticed.
 */
export function createPostgresPool(config: PostgresConfig, events: PoolEvents): PostgresPool {
  const { url, connections: max, statementTimeoutMs } = config
  // The pool says `new`, and takes what a function returns.
  const client = createPooledClient as unknown as new () => Client
  const pool = new Pool({ ...clientOptions(url), max, idleTimeoutMillis: idleTimeoutMs, Client: client })
  const settled = new WeakSet<PoolClient>()
  // Without a listener a connection that breaks would end the process, whether it is used at the moment or not.
  pool.on('error', events.onLost)
  pool.on('connect', (client) => void client.on('error', () => undefined))

  const settle = async (client: PoolClient): Promise<void> => {
    if (settled.has(client)) return
    await within(connectTimeoutMs, client.query(sessionSettings, sessionValues(statementTimeoutMs)))
    settled.add(client)
  }
  return {
    options: pool.options,
    async connect() {
      const client = await pool.connect().catch((error: unknown) => {
        throw toStoreFailure(error)
      })
      try {
        await settle(client)
      } catch (error) {
        client.release(true)
        throw toStoreFailure(error)
      }
      return watchClient(client, { timeoutMs: statementTimeoutMs + graceMs, onWrite: events.onWrite })
    },
    end: () => pool.end(),
  }
}

/** By a statement and not when connecting: poolers between us and the database refuse what they do not know there. */
const sessionSettings = `select set_config('statement_timeout', $1, false), set_config('lock_timeout', $2, false),
  set_config('idle_in_transaction_session_timeout', $1, false), set_config('default_transaction_isolation', $3, false)`

/** What the stores do is right when each statement sees what was committed before it; a server may have another default. */
const sessionValues = (statementTimeoutMs: number) => [
  String(statementTimeoutMs),
  String(Math.min(lockTimeoutMs, statementTimeoutMs)),
  'read committed',
]

type Watch = { readonly timeoutMs: number; readonly onWrite: () => void }

/** A connection from its taking to its giving back. */
function watchClient(client: PoolClient, { timeoutMs, onWrite }: Watch): PostgresPoolClient {
  const seen = { isInTransaction: false, hasWritten: false, isBroken: false }
  const note = (sql: string, isDone: boolean, hasWritten: boolean) => {
    if (/^(begin|start transaction)/.test(sql)) seen.isInTransaction = true
    // Whether what failed has changed something is not known.
    seen.hasWritten ||= hasWritten || !isDone
    if (sql === 'commit' || sql === 'rollback') seen.isInTransaction = false
    if (seen.isInTransaction || !seen.hasWritten) return
    seen.hasWritten = false
    onWrite()
  }
  const run = async (sql: string, parameters: readonly unknown[]): Promise<QueryResult> => {
    if (seen.isBroken) throw databaseOut(undefined)
    try {
      const result = await within(timeoutMs, client.query(sql, [...parameters]))
      note(sql, true, isWrite(result))
      return result
    } catch (error) {
      note(sql, false, false)
      // It may be in the middle of something.
      if (codeOf(error) === undefined) seen.isBroken = true
      throw toStoreFailure(error)
    }
  }
  return {
    query: run as unknown as PostgresPoolClient['query'],
    release: (destroy) => {
      if (seen.hasWritten) onWrite()
      client.release(destroy === true || seen.isBroken)
    },
  }
}

const writing: ReadonlySet<string> = new Set(['INSERT', 'UPDATE', 'DELETE', 'MERGE'])

const isWrite = ({ command, rowCount }: QueryResult) => writing.has(command) && (rowCount ?? 0) > 0

/** The driver's own deadline leaves a connection in the middle of a statement; whoever calls throws it away. */
export async function within<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
  try {
    return await Promise.race([work, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
