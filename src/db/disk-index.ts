import { readFileSync, renameSync, rmSync } from 'node:fs'
import { uptime } from 'node:os'
import Database from 'better-sqlite3'
import type { Logger } from '../observability/create-logger.ts'
import { openDatabase, type SqliteDatabase } from './open-database.ts'

/** Structurally the `DiskIndex` of the cache room; declared again, as rooms of one floor do not import each other. */
export interface SqliteDiskIndex {
  totals(): { readonly entries: number; readonly bytes: number; readonly complete: boolean }
  write(changes: readonly DiskIndexChange[]): void
  oldest(limit: number): readonly Row[]
  close(): void
}

type Row = { readonly key: string; readonly bytes: number; readonly lastUsedUs: number }

type DiskIndexChange =
  | ({ readonly kind: 'put' } & Row)
  | ({ readonly kind: 'found' } & Row)
  | { readonly kind: 'delete'; readonly key: string }
  | { readonly kind: 'complete' }

/** Bumped when the tables change; a file of another version is rebuilt from the directory. */
const schemaVersion = 1

/** Triggers keep the totals, so that a start needs no count over a million rows and two processes see the same sum. */
const schema = `
  CREATE TABLE entries (key TEXT PRIMARY KEY, bytes INTEGER NOT NULL, last_used_us INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE INDEX entries_by_use ON entries (last_used_us, bytes);
  CREATE TABLE totals (entries INTEGER NOT NULL, bytes INTEGER NOT NULL, complete INTEGER NOT NULL) STRICT;
  CREATE TABLE open_since (boot_id TEXT NOT NULL) STRICT;
  CREATE TRIGGER entry_added AFTER INSERT ON entries
    BEGIN UPDATE totals SET entries = entries + 1, bytes = bytes + NEW.bytes; END;
  CREATE TRIGGER entry_removed AFTER DELETE ON entries
    BEGIN UPDATE totals SET entries = entries - 1, bytes = bytes - OLD.bytes; END;
  CREATE TRIGGER entry_resized AFTER UPDATE OF bytes ON entries WHEN NEW.bytes <> OLD.bytes
    BEGIN UPDATE totals SET bytes = bytes + NEW.bytes - OLD.bytes; END;
  INSERT INTO totals VALUES (0, 0, 0);
  PRAGMA user_version = ${schemaVersion};
`

/** Result codes after which the file is not worth keeping. */
const ruinedCodes = new Set(['SQLITE_CORRUPT', 'SQLITE_NOTADB', 'SQLITE_CORRUPT_INDEX', 'SQLITE_CORRUPT_VTAB'])

/**
 * Opens the index of the disk cache, and always succeeds: a ruined file, or one that went through a power cut, is set aside (as `<file>.broken`, one at most) and begun anew,
 * and where no file can be had, a full disk for one, the index lives in memory. Both start incomplete, for the tier to scan.
 */
export function openDiskIndex(options: {
  readonly file: string
  readonly log: Pick<Logger, 'warn'>
  /** Identifies the run of the operating system; for tests. */
  readonly bootId?: string
}): SqliteDiskIndex {
  const { file, log } = options
  const bootId = options.bootId ?? currentBootId()
  let tables = openTables(file, bootId, log)

  /** A file that turns out to be ruined later is replaced as at start; the call that found it still fails. */
  const guarded = <T>(work: () => T): T => {
    try {
      return work()
    } catch (error) {
      if (!isRuined(error)) throw error
      tables.abandon()
      tables = openTables(file, bootId, log)
      throw error
    }
  }

  return {
    totals: () => guarded(() => tables.totals()),
    write: (changes) => guarded(() => tables.write(changes)),
    oldest: (limit) => guarded(() => tables.oldest(limit)),
    close: () => tables.close(),
  }
}

type Tables = SqliteDiskIndex & { abandon(): void }

function openTables(file: string, bootId: string, log: Pick<Logger, 'warn'>): Tables {
  for (let attempt = 1; attempt <= openAttempts; attempt += 1) {
    try {
      return openTablesIn(file, bootId)
    } catch (error) {
      if (isBusy(error)) pause()
      else {
        log.warn('cache_index_unusable', { attempt, error: String(error) })
        setAside(file)
      }
    }
  }
  log.warn('cache_index_in_memory', { file })
  return openTablesIn(':memory:', bootId)
}

function openTablesIn(file: string, bootId: string): Tables {
  const db = openChecked(file)
  try {
    return prepareTables(db, bootId)
  } catch (error) {
    db.close()
    throw error
  }
}

/** The file as it is, then anew; more for a file that another process holds, which is a good one. */
const openAttempts = 5

/** Two processes that make the same file at once are refused without waiting; only at start, so waiting in place harms nobody. */
function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
}

/** Throws when the file is damaged or of another version. A million rows are checked in 0.2 s. */
function openChecked(file: string): SqliteDatabase {
  const db = openDatabase(file)
  try {
    // Read under the write lock: of two processes that find no tables only one may make them.
    const version = db.transaction(() => {
      if (db.pragma('user_version', { simple: true }) === 0) db.exec(schema)
      return db.pragma('user_version', { simple: true })
    })
    if (version.immediate() !== schemaVersion) throw new Error(`not of version ${schemaVersion}`)
    const verdict = db.pragma('quick_check(1)', { simple: true })
    if (verdict !== 'ok') throw new Error(`damaged: ${String(verdict)}`)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

function prepareTables(db: SqliteDatabase, bootId: string): Tables {
  const opening = noteOpening(db, bootId)
  // From here on no commit waits for the disk: fsyncs held the event loop for 20 to 260 ms while the disk was busy.
  db.pragma('synchronous = OFF')
  const selectTotals = db.prepare<[], { entries: number; bytes: number; complete: number }>('SELECT * FROM totals')
  const selectOldest = db.prepare<[number], Row>(
    'SELECT key, bytes, last_used_us AS lastUsedUs FROM entries ORDER BY last_used_us LIMIT ?',
  )
  const applyChange = changeWriter(db)
  const writeAll = db.transaction((changes: readonly DiskIndexChange[]) => changes.forEach(applyChange))

  return {
    totals() {
      const row = selectTotals.get()
      if (!row) throw new Error('the disk index has no totals')
      return { entries: row.entries, bytes: row.bytes, complete: row.complete === 1 }
    },
    // Immediate, so that a second process makes us wait and not fail.
    write: (changes) => retryingWhenFull(db, () => writeAll.immediate(changes)),
    oldest: (limit) => selectOldest.all(limit),
    close() {
      if (!db.open) return
      try {
        // First all pages onto the disk, then the word that they are there.
        db.pragma('synchronous = FULL')
        db.pragma('wal_checkpoint(TRUNCATE)')
        db.prepare('DELETE FROM open_since WHERE rowid = ?').run(opening)
      } finally {
        db.close()
      }
    },
    abandon: () => db.close(),
  }
}

/** On a full disk the write-ahead log cannot grow, but writing it back empties it. */
function retryingWhenFull(db: SqliteDatabase, work: () => void): void {
  try {
    work()
  } catch (error) {
    if (!(error instanceof Database.SqliteError) || error.code !== 'SQLITE_FULL') throw error
    db.pragma('wal_checkpoint(TRUNCATE)')
    work()
  }
}

function changeWriter(db: SqliteDatabase): (change: DiskIndexChange) => void {
  const put = db.prepare<[string, number, number]>(
    'INSERT INTO entries VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET bytes = excluded.bytes, last_used_us = excluded.last_used_us',
  )
  const find = db.prepare<[string, number, number]>('INSERT INTO entries VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING')
  const remove = db.prepare<[string]>('DELETE FROM entries WHERE key = ?')
  const complete = db.prepare('UPDATE totals SET complete = 1')

  return (change) => {
    switch (change.kind) {
      case 'put':
        return void put.run(change.key, change.bytes, change.lastUsedUs)
      case 'found':
        return void find.run(change.key, change.bytes, change.lastUsedUs)
      case 'delete':
        return void remove.run(change.key)
      case 'complete':
        return void complete.run()
    }
  }
}

/**
 * Notes on the disk that the file is open. Found still open from an earlier boot it went through a power cut, after which unsynced pages may be
 * old or new: throws, and the file is rebuilt. A process killed within one boot loses nothing.
 */
function noteOpening(db: SqliteDatabase, bootId: string): number | bigint {
  const note = db.transaction(() => {
    const leftOpen = db.prepare('SELECT 1 FROM open_since WHERE boot_id <> ?').get(bootId)
    if (leftOpen) throw new Error('left open by an earlier boot')
    return db.prepare('INSERT INTO open_since VALUES (?)').run(bootId).lastInsertRowid
  })
  db.pragma('synchronous = FULL')
  return note.immediate()
}

/** A rename works on a full disk too, and makes sure that the next start does not trust a file that missed this run. */
function setAside(file: string): void {
  for (const suffix of ['-wal', '-shm']) rmSync(file + suffix, { force: true })
  try {
    renameSync(file, `${file}.broken`)
  } catch {
    // Not there, or a file system that takes no writes at all: then no entry is written either.
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY')
}

function isRuined(error: unknown): boolean {
  return error instanceof Database.SqliteError && ruinedCodes.has(error.code)
}

function currentBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    // Elsewhere the minute the system started; a wrong guess costs one background scan.
    return `up-since-${Math.round((Date.now() / 1000 - uptime()) / 60)}`
  }
}
