import type { DatabaseConfig } from './config.ts'
import { shownDatabaseUrl } from './postgres-url.ts'

/** What a database is called where people read of it: its file, or its URL without the password. */
export function databaseNameOf(database: DatabaseConfig): string {
  return 'file' in database ? database.file : shownDatabaseUrl(database.postgres.url)
}
