import type { CachedResult } from './cached-result.ts'
import { createSlots } from '../lib/slots.ts'
import { closeQuietly, createFirstReads, readBody, type Verified } from './entry-file-reads.ts'
import { createQuickReads, type QuickReads } from './quick-reads.ts'

/** Reads entries back. A file is opened and verified once, then kept open for a while: a popular entry costs one system call a hit. */
export interface EntryReader {
  /**
   * `corrupt` is whatever is not a whole, unaltered entry about this key; `busy`: too many large ones wait for their turn. A read that is
   * under way is shared. `onLarge` is called when this one has to wait for its turn. Throws system errors.
   */
  read(key: string, onLarge?: () => void): Promise<EntryRead>
  /** Call after the file was replaced or removed: what is being read of the old one ends, nobody else sees it. */
  forget(key: string): void
  /** Closes what has been open for long, so that files which others removed give their space back. */
  closeOld(): void
  close(): void
}

export type EntryRead = { readonly result: CachedResult; readonly fileBytes: number } | 'absent' | 'corrupt' | 'busy'

export type EntryReaderOptions = {
  readonly pathOf: (key: string) => string
  readonly maxFileBytes: number
  /** Files kept open; 0 opens for every read. */
  readonly maxOpen: number
  /** For what is read again. */
  readonly quickReads?: QuickReads
}

/** Long enough to save nearly every open of a popular entry, short enough that a cache emptied by hand is soon seen to be empty. */
const openForMs = 10_000

/** As many keep a disk busy; more at once would only take their memory earlier. */
const largeReadsAtOnce = 4
/** Each holds an open file. */
const largeReadsWaiting = 256

/** A read, and who is to be told that it waits for its turn. */
type Flight = { readonly read: Promise<EntryRead>; isLarge: boolean; readonly told: (() => void)[] }

type OpenEntry = {
  readonly openedAtMs: number
  /** Set once, when the file is open and verified. */
  verified: Verified | undefined
  readers: number
  forgotten: boolean
}

export function createEntryReader(options: EntryReaderOptions): EntryReader {
  const { pathOf, maxOpen, quickReads = createQuickReads() } = options
  // In order of use, as re-inserting moves an entry to the end.
  const kept = new Map<string, OpenEntry>()
  const underWay = new Map<string, Flight>()
  const largeReads = createSlots({ active: largeReadsAtOnce, waiting: largeReadsWaiting })
  const firstReads = createFirstReads(options.maxFileBytes, largeReads)

  /** A descriptor is closed by its last reader only: its number may belong to another file a moment later. */
  const closeUnused = (entry: OpenEntry) => {
    if (!entry.forgotten || entry.readers > 0 || !entry.verified) return
    closeQuietly(entry.verified.fd)
    entry.verified = undefined
  }
  const drop = (key: string, entry: OpenEntry) => {
    if (kept.get(key) === entry) kept.delete(key)
    entry.forgotten = true
    closeUnused(entry)
  }
  const keep = (key: string, entry: OpenEntry) => {
    kept.delete(key)
    kept.set(key, entry)
    const [oldest] = kept.size > maxOpen ? kept : []
    if (oldest) drop(...oldest)
  }
  const reading = async <T>(entry: OpenEntry, work: () => Promise<T>): Promise<T> => {
    entry.readers += 1
    try {
      return await work()
    } finally {
      entry.readers -= 1
      closeUnused(entry)
    }
  }

  const openAndRead = (key: string, onLarge: () => void): Promise<EntryRead> => {
    const entry: OpenEntry = { openedAtMs: Date.now(), verified: undefined, readers: 0, forgotten: false }
    // Known before it is open, so that a file that is replaced meanwhile is not kept.
    keep(key, entry)
    return reading(entry, async () => {
      const read = await firstReads.read(key, pathOf(key), onLarge).catch((error: unknown) => {
        drop(key, entry)
        throw error
      })
      if (typeof read === 'string') drop(key, entry)
      else entry.verified = read.verified
      return read
    })
  }

  const readAgain = async (
    key: string,
    { entry, verified }: { readonly entry: OpenEntry; readonly verified: Verified },
    onLarge: () => void,
  ): Promise<EntryRead> => {
    keep(key, entry)
    // A descriptor can go stale, on network drives for one.
    const body = await reading(entry, () => readBody(verified, { quickReads, largeReads, onLarge })).catch(
      () => undefined,
    )
    if (body === 'busy') return body
    if (body) return { result: { body, ...verified.facts }, fileBytes: verified.fileBytes }
    // Or the file was altered in place: the checksum of the whole has the word.
    drop(key, entry)
    return openAndRead(key, onLarge)
  }

  const start = (key: string, onLarge: () => void) => {
    const entry = kept.get(key)
    if (entry?.verified && Date.now() - entry.openedAtMs < openForMs)
      return readAgain(key, { entry, verified: entry.verified }, onLarge)
    if (entry) drop(key, entry)
    return openAndRead(key, onLarge)
  }

  return {
    read(key, onLarge = () => undefined) {
      const shared = underWay.get(key)
      if (shared?.isLarge) onLarge()
      else shared?.told.push(onLarge)
      if (shared) return shared.read
      const told = [onLarge]
      const read = start(key, () => {
        flight.isLarge = true
        for (const tell of told.splice(0)) tell()
      })
      const flight: Flight = { read, isLarge: false, told }
      const done = () => {
        if (underWay.get(key) === flight) underWay.delete(key)
      }
      underWay.set(key, flight)
      read.then(done, done)
      return read
    },
    forget(key) {
      underWay.delete(key)
      const entry = kept.get(key)
      if (entry) drop(key, entry)
    },
    closeOld() {
      const before = Date.now() - openForMs
      for (const [key, entry] of kept) if (entry.openedAtMs <= before) drop(key, entry)
    },
    close() {
      for (const [key, entry] of kept) drop(key, entry)
    },
  }
}
