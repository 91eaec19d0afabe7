import { Kysely, PostgresDialect, sql } from 'kysely'
import type { PostgresConfig } from '../config/config.ts'
import { createChangeFeed, type ChangeFeed } from './change-feed.ts'
import { migrate, type MigrationReport } from './migrate.ts'
import { createPostgresPool, type PoolEvents } from './postgres-pool.ts'
import { startFailure, startFailureOf } from './postgres-start-failure.ts'
import { postgresTables } from './postgres-tables.ts'
import type { Schema } from './schema.ts'

/** Of one migration's statement, and of waiting for another process that migrates: building an index takes its time. */
const migrationTimeoutMs = 3_600_000

export type PostgresEvents = {
  warn(event: string, fields?: Readonly<Record<string, unknown>>): void
  info(event: string, fields?: Readonly<Record<string, unknown>>): void
}

export type OpenPostgres = {
  readonly db: Kysely<Schema>
  readonly feed: ChangeFeed
  readonly report: MigrationReport
}

export type OpenPostgresOptions = {
  readonly log: PostgresEvents
  readonly onQuery?: (query: { readonly sql: string; readonly parameters: readonly unknown[] }) => void
  /** Throws `not_found` where no Halftone has been before, instead of making the tables. */
  readonly mustExist?: boolean
}

/** Opens the database and brings it up to date. Throws with the mend when it cannot be used. */
export async function openPostgres(config: PostgresConfig, options: OpenPostgresOptions): Promise<OpenPostgres> {
  const { log, onQuery, mustExist = false } = options
  const report = await migrateDatabase(config, mustExist)
  const feed = createChangeFeed(config.url, {
    onDeaf: (error) => log.warn('database_changes_unheard', { error: String(error) }),
    onHearing: () => log.info('database_changes_heard'),
  })
  const events: PoolEvents = {
    onWrite: feed.bump,
    onLost: (error) => log.warn('database_connection_lost', { error: String(error) }),
  }
  const db = new Kysely<Schema>({
    dialect: new PostgresDialect({ pool: createPostgresPool(config, events) }),
    ...(onQuery && { log: ({ query }) => onQuery(query) }),
  })
  return { db, feed, report }
}

/** A standby would let us start, and refuse every upload. */
async function refuseStandby(db: Kysely<unknown>, url: string): Promise<void> {
  const { rows } = await sql<{ isStandby: boolean }>`select pg_is_in_recovery() as "isStandby"`.execute(db)
  if (rows[0]?.isStandby === true) throw startFailureOf('25006', url)
}

/** Over connections of its own, as it may take longer than anything else. */
async function migrateDatabase({ url }: PostgresConfig, mustExist: boolean): Promise<MigrationReport> {
  const nothing = () => undefined
  const patient = { url, connections: 2, statementTimeoutMs: migrationTimeoutMs }
  let db: Kysely<unknown> | undefined
  try {
    db = new Kysely({
      dialect: new PostgresDialect({ pool: createPostgresPool(patient, { onWrite: nothing, onLost: nothing }) }),
    })
    await refuseStandby(db, url)
    return await migrate(db, postgresTables, { mustExist })
  } catch (error) {
    throw startFailure(error, url)
  } finally {
    await db?.destroy()
  }
}
