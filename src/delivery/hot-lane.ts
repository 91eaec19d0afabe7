import type { CachedResult } from '../cache/cached-result.ts'
import type { Source } from '../sources/source.ts'
import { detectCapabilities } from '../transform/negotiation/detect-capabilities.ts'
import { loggedPath } from './image-answer.ts'
import { notModifiedAnswer, resultAnswer, type ResponseContext } from './image-response.ts'
import { joinHead } from './ready-head.ts'

/** A repeat hit, ready to be written: nothing is parsed, verified or hashed again. */
export type HotAnswer = {
  /** The fields of a 200 as they are sent, without those that each answer has of its own: where it came from, how long it took, its id. */
  readonly lines: string
  readonly notModifiedLines: string
  readonly etag: string
  /** What it is, as the members of a JSON object, for the log line. */
  readonly factsJson: string
  /** The same of a whole answer to a GET from memory, with all that it has in common with the next one. */
  readonly hitJson: string
}

export type HotRequest = {
  readonly target: string
  readonly host: string | undefined
  readonly accept: string | undefined
}

/** A prebuilt answer without its body. */
export type StoredAnswer = {
  readonly resultKey: string
  readonly validUntilMs: number
  /** Whether the rules of the original, where it has some, are still those it was answered under. */
  readonly stillHolds: () => boolean
  readonly answer: HotAnswer
}

/**
 * Raw target and client class -> prebuilt answer. An entry is believed only while the source state it was made under is
 * fresh (of originals with rules: nothing at all has changed), a tier still has its result, and its URL has not expired.
 */
export interface HotLane {
  find(asked: HotRequest, nowMs: number): { answer: HotAnswer; body: Buffer } | undefined
  /** As `find` for a result that has left the memory tier: what to answer when a lower tier still has it before `validUntilMs`. */
  findStored(asked: HotRequest, nowMs: number): StoredAnswer | undefined
  /** Call with a hit; a first render is not worth an entry yet. */
  remember(context: ResponseContext, key: string, result: CachedResult): void
}

export type HotLaneDeps = {
  readonly maxEntries: number
  /** False when no source is chosen by Host, so that the header cannot multiply entries. */
  readonly hostMatters: boolean
  readonly peekResult: (key: string) => CachedResult | undefined
  /** Until when the state of an original, as it was last seen, is believed. */
  readonly stateFreshUntilMs: (source: Source, path: string) => number
}

// A max-age that counts down (of an expiring URL, or what is left of an origin's freshness) is prebuilt as of this moment
// later, so it is never too long, and the entry ends then.
const countdownEntryMs = 1000
// Accept headers in the wild are a few dozen; longer ones are not worth remembering.
const maxAccepts = 500
const maxAcceptLength = 300
// Longer targets are what floods are made of, and each is kept as a key.
const maxTargetLength = 2000
const always = () => true
// For URLs that do not negotiate, all clients share one entry.
const anyClass = 4

export function createHotLane(deps: HotLaneDeps): HotLane {
  // One slot per client class, and one for all.
  const slots: readonly Map<string, StoredAnswer>[] = Array.from(
    { length: anyClass + 1 },
    () => new Map<string, StoredAnswer>(),
  )
  const classes = new Map<string, number>()
  const keyOf = (target: string, host: string | undefined) => (deps.hostMatters ? `${host ?? ''} ${target}` : target)

  function classOf(accept: string | undefined): number {
    if (accept === undefined) return 0
    const known = classes.get(accept)
    if (known !== undefined) return known
    const { avif, webp } = detectCapabilities(accept)
    const found = (avif ? 1 : 0) + (webp ? 2 : 0)
    if (classes.size < maxAccepts && accept.length <= maxAcceptLength) classes.set(accept, found)
    return found
  }

  function entryFor({ target, host, accept }: HotRequest, nowMs: number): StoredAnswer | undefined {
    const key = keyOf(target, host)
    const entry = slots[anyClass]?.get(key) ?? slots[classOf(accept)]?.get(key)
    return entry === undefined || nowMs >= entry.validUntilMs || !entry.stillHolds() ? undefined : entry
  }

  return {
    findStored: entryFor,
    find(asked, nowMs) {
      const entry = entryFor(asked, nowMs)
      if (entry === undefined) return undefined
      // The body stays in the memory tier alone, so that an entry never keeps alive what the tier has thrown out.
      const result = deps.peekResult(entry.resultKey)
      return result && { answer: entry.answer, body: result.body }
    },
    remember(context, resultKey, result) {
      const { raw, request, nowMs } = context
      if (deps.maxEntries === 0 || raw.target.length > maxTargetLength) return
      const { expiresAtSeconds } = request
      const countsDown = expiresAtSeconds !== undefined || context.state.freshUntilMs !== undefined
      const validUntilMs = Math.min(
        request.rules ? Infinity : deps.stateFreshUntilMs(request.source, request.path),
        countsDown ? nowMs + countdownEntryMs : Infinity,
        expiresAtSeconds === undefined ? Infinity : expiresAtSeconds * 1000,
      )
      const slot = slots[request.negotiated ? classOf(raw.accept) : anyClass]
      const answer = buildAnswer(countsDown ? { ...context, nowMs: nowMs + countdownEntryMs } : context, result)
      const key = keyOf(raw.target, raw.host)
      // Re-inserted, so that the first of the map is the one renewed longest ago.
      slot?.delete(key)
      slot?.set(key, { resultKey, validUntilMs, stillHolds: request.rules?.stillHold ?? always, answer })
      const oldest = slot && slot.size > deps.maxEntries ? slot.keys().next().value : undefined
      if (oldest !== undefined) slot?.delete(oldest)
    },
  }
}

function buildAnswer(context: ResponseContext, result: CachedResult): HotAnswer {
  const whole = { ...context, raw: { ...context.raw, method: 'GET' as const, range: undefined } }
  const { headers, facts } = resultAnswer(whole, result, { kind: 'hit', tier: 'memory' })
  const { outcome: _own, ...lasting } = facts
  const factsJson = JSON.stringify({ path: loggedPath(context.raw.target), ...lasting }).slice(1, -1)
  return {
    lines: joinHead(headers.filter(isLasting)),
    notModifiedLines: joinHead(notModifiedAnswer(whole).headers.filter(isLasting)),
    etag: context.etag,
    factsJson,
    hitJson: `"method":"GET","status":200,"bytes":${result.body.length},${factsJson},"outcome":"memory"`,
  }
}

const ownOfEachAnswer = new Set(['X-Request-Id', 'Server-Timing', 'Cache-Status'])
const isLasting = ([name]: readonly [string, string]) => !ownOfEachAnswer.has(name)
