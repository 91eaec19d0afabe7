import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'

export type SqliteDatabase = Database.Database

/** Calls are synchronous: while another process holds the write lock the whole server waits, so give up soon. */
const busyTimeoutMs = 200

/** SQLite's own checkpoint keeps the log near 4 MB; one that grew under load is cut back to this. */
const journalBytes = 16 * 1024 * 1024

/** Page cache in KiB; with the default 2 MB random updates of a million rows go to the kernel for every page. */
const pageCacheKiB = 16 * 1024

/** Opens (or makes) a SQLite file in WAL mode; `:memory:` for one that is gone on close. Throws SqliteError. */
export function openDatabase(file: string): SqliteDatabase {
  if (file !== ':memory:') mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  const db = new Database(file, { timeout: busyTimeoutMs })
  try {
    db.pragma('journal_mode = WAL')
    // Safe against a killed process; a power cut may lose the newest commits, never the file.
    db.pragma('synchronous = NORMAL')
    db.pragma(`journal_size_limit = ${journalBytes}`)
    db.pragma(`cache_size = -${pageCacheKiB}`)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}
