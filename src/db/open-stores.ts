import type { DatabaseConfig, PostgresConfig } from '../config/config.ts'
import { createApiKeyStore } from './api-key-store.ts'
import { createHistoryStore } from './history-store.ts'
import { createImageStore } from './image-store.ts'
import { createJobTable } from './job-table.ts'
import type { MigrationReport } from './migrate.ts'
import { createObjectStore } from './object-store.ts'
import { openSqlite } from './open-sqlite.ts'
import { createOutboxStore } from './outbox-store.ts'
import { retryConflicts } from './retry-conflicts.ts'
import { createSecretStore } from './secret-store.ts'
import { createShareStore } from './share-store.ts'
import type { Stores } from './stores.ts'
import { createSurveyStore } from './survey-store.ts'
import { createUploadStore } from './upload-store.ts'
import { createWebhookStore } from './webhook-store.ts'

type LogLine = (event: string, fields?: Readonly<Record<string, unknown>>) => void

/** A file is made where there is none; `:memory:` for one that is gone on close. */
export type StoresOptions = DatabaseConfig & {
  readonly now?: () => number
  /** Sees every statement, for tests of query plans. */
  readonly onQuery?: (query: { readonly sql: string; readonly parameters: readonly unknown[] }) => void
  /** What becomes of connections; for a file there is nothing to tell. */
  readonly log?: { readonly warn: LogLine; readonly info: LogLine }
  /** Refuses a PostgreSQL database without our tables instead of making them. */
  readonly mustExist?: boolean
}

type Opened = { readonly stores: Stores; readonly report: MigrationReport }

/** Opens the database and brings it up to date. Throws when a newer release has been there before, or it cannot be used. */
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

async function openMigrated(options: StoresOptions): Promise<Opened> {
  if ('postgres' in options) return openShared(options.postgres, options)
  const { now = Date.now } = options
  const { db, changeMark, report } = await openSqlite(options)
  return { stores: createStores({ db, now, changeMark }, () => db.destroy()), report }
}

const silent = { warn: () => undefined, info: () => undefined }

/** The driver is loaded when it is needed. */
async function openShared(config: PostgresConfig, options: Omit<StoresOptions, 'file' | 'postgres'>): Promise<Opened> {
  const { now = Date.now, log = silent, ...rest } = options
  const { openPostgres } = await import('./open-postgres.ts')
  const { isConflict, isPassingConflict } = await import('./postgres-failure.ts')
  const { db, feed, report } = await openPostgres(config, { ...rest, log })
  const stores = createStores({ db, now, changeMark: feed.read }, async () => {
    await feed.close()
    await db.destroy()
  })
  return { stores: retryConflicts(stores, { isConflict, isPassing: isPassingConflict }), report }
}

function createStores(context: Parameters<typeof createImageStore>[0], close: () => Promise<void>): Stores {
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
    close,
  }
}
