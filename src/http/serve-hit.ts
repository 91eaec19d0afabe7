import type { HotAnswer, HotLane } from '../delivery/hot-lane.ts'
import type { HitRequest } from './plain-request.ts'
import { requestIdOf } from './request-id.ts'

export type HitDeps = {
  readonly hotLane: HotLane
  /** The result from whichever tier has it. Bounded by the tiers' own deadlines; never rejects. */
  readonly readStored: (key: string) => Promise<{ readonly tier: string; readonly body: Buffer } | undefined>
  readonly onHot: (served: HotServed) => void
  readonly freshId: () => string
}

export type HotServed = {
  readonly requestId: string
  readonly method: string
  readonly answer: HotAnswer
  readonly status: 200 | 304
  /** The tier it came from, or `not-modified`. */
  readonly outcome: string
  readonly bytes: number
  readonly seconds: number
}

/** A repeat hit, to be written as it is. */
export type Hit = {
  readonly status: 200 | 304
  /** `Name: value\r\n` each: all fields but those of this one answer and those of the connection. */
  readonly lines: string
  readonly body: Buffer | undefined
}

/** Puts a hit on the wire. */
export type WriteHit = (hit: Hit) => void

/** Answers a repeat hit at once; false leaves the request untouched for the long way. */
export function serveHot(request: HitRequest, write: WriteHit, deps: HitDeps): boolean {
  const startedMs = performance.now()
  const { method, ifNoneMatch } = request
  if (request.isSpecial || (method !== 'GET' && method !== 'HEAD')) return false
  const found = deps.hotLane.find(request, Date.now())
  if (found === undefined) return false

  const { answer, body } = found
  // Other spellings of a match (lists, weak tags, `*`) take the long way.
  const isMatch = ifNoneMatch === answer.etag
  if (ifNoneMatch !== undefined && !isMatch) return false
  const requestId = requestIdOf(request.requestId, deps.freshId)
  const status = isMatch ? 304 : 200
  const outcome = isMatch ? 'not-modified' : 'memory'
  const lines = `${isMatch ? answer.notModifiedLines : answer.lines}Cache-Status: halftone; hit; detail=${outcome}\r\nServer-Timing: cache;desc=${outcome}\r\nX-Request-Id: ${requestId}\r\n`
  const sent = isMatch || method === 'HEAD' ? undefined : body
  write({ status, lines, body: sent })
  const seconds = (performance.now() - startedMs) / 1000
  deps.onHot({ requestId, method, answer, status, outcome, bytes: sent?.length ?? 0, seconds })
  return true
}

/**
 * Answers a repeat hit that has left the memory tier with its prebuilt head, under the hot lane's conditions. Undefined when there is
 * none. False leaves the request untouched for the long way, which knows what to do when the result is gone, the URL has expired or the
 * image been deleted meanwhile, or the client went away.
 */
export function serveStored(
  request: HitRequest,
  to: { readonly write: WriteHit; readonly isGone: () => boolean },
  deps: HitDeps,
): Promise<boolean> | undefined {
  const startedMs = performance.now()
  // Conditions can be answered without reading anything, the long way.
  if (request.isSpecial || request.method !== 'GET' || request.ifNoneMatch !== undefined) return undefined
  const found = deps.hotLane.findStored(request, Date.now())
  if (found === undefined) return undefined
  return deps.readStored(found.resultKey).then((stored) => {
    const isStillTrue = Date.now() < found.validUntilMs && found.stillHolds()
    if (stored === undefined || !isStillTrue || to.isGone()) return false
    const { tier: outcome, body } = stored
    const { answer } = found
    const requestId = requestIdOf(request.requestId, deps.freshId)
    const elapsedMs = (performance.now() - startedMs).toFixed(1)
    const lines = `${answer.lines}Cache-Status: halftone; hit; detail=${outcome}\r\nServer-Timing: cache;desc=${outcome}, total;dur=${elapsedMs}\r\nX-Request-Id: ${requestId}\r\n`
    to.write({ status: 200, lines, body })
    const seconds = (performance.now() - startedMs) / 1000
    deps.onHot({ requestId, method: 'GET', answer, status: 200, outcome, bytes: body.length, seconds })
    return true
  })
}
