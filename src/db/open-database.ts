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

export type DatabaseOptions = {
  /** How long a write waits for another process, and with it everything else in this one. */
  readonly busyTimeoutMs?: number
  /** Every commit is on the disk before it is told; without, a power cut may lose the newest ones, never the file. */
  readonly isDurable?: boolean
}

/** Opens (or makes) a SQLite file in WAL mode; `:memory:` for one that is gone on close. Throws SqliteError. */
export function openDatabase(file: string, options: DatabaseOptions = {}): SqliteDatabase {
  if (file !== ':memory:') mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  const db = new Database(file, { timeout: options.busyTimeoutMs ?? busyTimeoutMs })
  try {
    db.pragma('journal_mode = WAL')
    db.pragma(`synchronous = ${options.isDurable ? 'FULL' : 'NORMAL'}`)
    db.pragma('foreign_keys = ON')
    db.pragma(`journal_size_limit = ${journalBytes}`)
    db.pragma(`cache_size = -${pageCacheKiB}`)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}
