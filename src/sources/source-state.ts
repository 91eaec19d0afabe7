import { createHash } from 'node:crypto'
import type { OriginalState, Source } from './source.ts'
import { untilAborted } from './until-aborted.ts'

export type SourceStateOptions = {
  /** How long a state, or an absence, is believed. 0 asks every time. */
  readonly ttlMs: number
  /** Beyond it the longest unused is forgotten. */
  readonly maxEntries?: number
  /** Deadline of one stat. */
  readonly timeoutMs?: number
  readonly now?: () => number
}

/** Remembers for a moment which bytes stand behind a path, so that a hot picture costs no stat per hit. */
export interface SourceState {
  /** The state, at most `ttlMs` old. Concurrent questions for one path share one stat; failures are not remembered. */
  get(source: Source, path: string, signal: AbortSignal): Promise<OriginalState | undefined>
  /** Until when (Unix ms) the remembered state is believed; 0 when nothing is remembered. For the hot lane. */
  freshUntilMs(source: Source, path: string): number
  forget(source: Source, path: string): void
}

type Known = { readonly state: OriginalState | undefined; readonly checkedAtMs: number }

const defaultMaxEntries = 50_000
const defaultTimeoutMs = 7_000

export function createSourceState(options: SourceStateOptions): SourceState {
  const { ttlMs, maxEntries = defaultMaxEntries, timeoutMs = defaultTimeoutMs, now = Date.now } = options
  // A Map keeps insertion order: re-inserting what is used makes the first key the longest unused one.
  const known = new Map<string, Known>()
  const asking = new Map<string, Promise<OriginalState | undefined>>()

  function fresh(key: string): Known | undefined {
    const entry = known.get(key)
    if (entry === undefined) return undefined
    known.delete(key)
    const ageMs = now() - entry.checkedAtMs
    // A clock that was set back makes ages negative; such entries are not believed either.
    if (ageMs < 0 || ageMs >= ttlMs) return undefined
    known.set(key, entry)
    return entry
  }

  function remember(key: string, entry: Known): void {
    known.delete(key)
    known.set(key, entry)
    const oldest = known.size > maxEntries ? known.keys().next().value : undefined
    if (oldest !== undefined) known.delete(oldest)
  }

  /** Not bound to one caller's signal: others wait for the same answer, and it is of use to the next. */
  function ask(source: Source, path: string, key: string): Promise<OriginalState | undefined> {
    const checkedAtMs = now()
    const answer = source.stat(path, AbortSignal.timeout(timeoutMs)).then((state) => {
      // A question that was forgotten meanwhile may have seen the old file.
      if (asking.get(key) === answer && ttlMs > 0) remember(key, { state, checkedAtMs })
      return state
    })
    asking.set(key, answer)
    const settle = (): void => {
      if (asking.get(key) === answer) asking.delete(key)
    }
    answer.then(settle, settle)
    return answer
  }

  return {
    get(source, path, signal) {
      const key = keyOf(source, path)
      const entry = fresh(key)
      if (entry !== undefined) return Promise.resolve(entry.state)
      return untilAborted(asking.get(key) ?? ask(source, path, key), signal)
    },
    freshUntilMs(source, path) {
      const entry = fresh(keyOf(source, path))
      return entry === undefined ? 0 : entry.checkedAtMs + ttlMs
    },
    forget(source, path) {
      const key = keyOf(source, path)
      known.delete(key)
      asking.delete(key)
    },
  }
}

// Long paths are what a flood of invented ones is made of: their digest bounds what an entry takes.
const longestPlainKey = 200

/** Source names hold no NUL and neither do paths. */
function keyOf(source: Source, path: string): string {
  const key = `${source.name}\0${path}`
  return key.length <= longestPlainKey ? key : createHash('sha256').update(key).digest('base64')
}
