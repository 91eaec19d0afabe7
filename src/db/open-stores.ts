import { Kysely } from 'kysely'
import { AppError } from '../errors.ts'
import { createApiKeyStore } from './api-key-store.ts'
import { createHistoryStore } from './history-store.ts'
import { createImageStore } from './image-store.ts'
import { createJobTable } from './job-table.ts'
import { migrate, type MigrationReport } from './migrate.ts'
import { createObjectStore } from './object-store.ts'
import { openDatabase, type SqliteDatabase } from './open-database.ts'
import { createOutboxStore } from './outbox-store.ts'
import type { Schema } from './schema.ts'
import { createSecretStore } from './secret-store.ts'
import { createShareStore } from './share-store.ts'
import { createChangeMark, createSqliteDialect, sqliteTables } from './sqlite-dialect.ts'
import type { Stores } from './stores.ts'
import { createSurveyStore } from './survey-store.ts'
import { createUploadStore } from './upload-store.ts'
import { createWebhookStore } from './webhook-store.ts'

/** For switching the file to WAL, which another process may be doing; every later wait is the dialect's, and blocks nothing. */
const openTimeoutMs = 5000
const busyTimeoutMs = 5

export type StoresOptions = {
  /** Made where there is none; `:memory:` for one that is gone on close. */
  readonly file: string
  readonly now?: () => number
  /** Sees every statement, for tests of query plans. */
  readonly onQuery?: (query: { readonly sql: string; readonly parameters: readonly unknown[] }) => void
}

/** Opens the database and brings it up to date. Throws when a newer release has been there before, or the file cannot be used. */
export async function openStores(options: StoresOptions): Promise<Stores> {
  const { stores } = await openMigrated(options)
  return stores
}

/** Brings the database up to date and says what was done. Throws as `openStores` does. */
export async function migrateStores(options: StoresOptions): Promise<MigrationReport> {
  const { stores, report } = await openMigrated(options)
  await stores.close()
  return report
}

async function openMigrated(options: StoresOptions): Promise<{ stores: Stores; report: MigrationReport }> {
  const { file, now = Date.now, onQuery } = options
  const database = openFile(file)
  try {
    database.pragma(`busy_timeout = ${busyTimeoutMs}`)
    const changeMark = createChangeMark(database)
    const db = new Kysely<Schema>({
      dialect: createSqliteDialect(database, changeMark.bump),
      ...(onQuery && { log: ({ query }) => onQuery(query) }),
    })
    const report = await migrate(db, sqliteTables)
    const context = { db, now, changeMark: changeMark.read }
    return { stores: createStores(context), report }
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

function createStores(context: Parameters<typeof createImageStore>[0]): Stores {
  return {
    uploads: createUploadStore(context),
    images: createImageStore(context),
    objects: createObjectStore(context),
    shares: createShareStore(context),
    apiKeys: createApiKeyStore(context),
    outbox: createOutboxStore(context),
    webhooks: createWebhookStore(context),
    jobs: createJobTable(context),
    secrets: createSecretStore(context),
    survey: createSurveyStore(context),
    history: createHistoryStore(context),
    close: () => context.db.destroy(),
  }
}
