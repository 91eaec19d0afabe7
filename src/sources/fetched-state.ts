import { hash } from 'node:crypto'
import { z } from 'zod'
import type { OriginalStore } from './original-store.ts'

const schema = z.object({
  version: z.string().min(16),
  byteLength: z.number(),
  lastModifiedMs: z.number(),
  validators: z.object({
    origin: z.string(),
    etag: z.string().optional(),
    lastModified: z.string().optional(),
  }),
  /** When the origin last said that this is so, and for how long that is believed. */
  checkedAtMs: z.number(),
  freshSeconds: z.number(),
  /** After a failed revalidation: not asked again before. */
  retryAtMs: z.number(),
})

/** What is known of a fetched original besides its bytes; rewritten alone when a revalidation finds nothing new. */
export type FetchedState = z.infer<typeof schema>

/** Milliseconds since the end of freshness, negative before it. A clock that was set back makes everything stale. */
export function staleness(state: FetchedState, nowMs: number): number {
  const ageMs = nowMs - state.checkedAtMs
  return ageMs < 0 ? 0 : ageMs - state.freshSeconds * 1000
}

/** The states of one source: in memory while they are in use, in the store over restarts. */
export interface FetchedStates {
  load(path: string, signal: AbortSignal): Promise<FetchedState | undefined>
  save(path: string, state: FetchedState): Promise<void>
  drop(path: string): Promise<void>
}

/** Some 400 bytes each; they spare a file read per picture every few seconds, and carry on while the disk is full. */
const maxInMemory = 10_000

/** `identity` names the place behind the source: another bucket under the same name knows nothing of the old one. */
export function createFetchedStates(identity: string, store: OriginalStore): FetchedStates {
  // Insertion order is the order of use.
  const recent = new Map<string, FetchedState>()
  const keyOf = (path: string) => hash('sha256', JSON.stringify(['state', identity, path]), 'base64url')
  const keep = (path: string, state: FetchedState) => {
    recent.delete(path)
    recent.set(path, state)
    const oldest = recent.size > maxInMemory ? recent.keys().next().value : undefined
    if (oldest !== undefined) recent.delete(oldest)
  }

  return {
    async load(path, signal) {
      const inMemory = recent.get(path)
      const state = inMemory ?? parseState(await store.get(keyOf(path), signal))
      if (state) keep(path, state)
      return state
    },
    async save(path, state) {
      keep(path, state)
      await store.set(keyOf(path), Buffer.from(JSON.stringify(state)))
    },
    async drop(path) {
      recent.delete(path)
      await store.delete(keyOf(path))
    },
  }
}

function parseState(bytes: Buffer | undefined): FetchedState | undefined {
  if (!bytes) return undefined
  try {
    return schema.safeParse(JSON.parse(bytes.toString('utf8'))).data
  } catch {
    return undefined
  }
}
