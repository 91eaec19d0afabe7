import type { IncomingMessage, ServerResponse } from 'node:http'
import type { HotLane, StoredAnswer } from '../delivery/hot-lane.ts'
import { requestIdOf } from './request-id.ts'
import { cutWhenStalled } from './send-image.ts'
import { readHotHeaders, type HotDeps, type HotHeaders } from './serve-hot.ts'

export type StoredDeps = Pick<HotDeps, 'server' | 'onHot'> & {
  readonly hotLane: HotLane
  /** The result from whichever tier has it. Bounded by the tiers' own deadlines; never rejects. */
  readonly readStored: (key: string) => Promise<{ readonly tier: string; readonly body: Buffer } | undefined>
}

/**
 * Answers a repeat hit that has left the memory tier with its prebuilt head, under the hot lane's conditions. False leaves the request
 * untouched for the long way, which knows what to do when the result is gone, the URL has expired or the image been deleted meanwhile, or
 * the client went away.
 */
export async function serveStored(
  request: IncomingMessage,
  response: ServerResponse,
  deps: StoredDeps,
): Promise<boolean> {
  const startedMs = performance.now()
  if (request.method !== 'GET') return false
  const headers = readHotHeaders(request.rawHeaders)
  // Conditions can be answered without reading anything, the long way.
  if (headers.isSpecial || headers.ifNoneMatch !== undefined) return false
  const { host, accept } = headers
  const found = deps.hotLane.findStored({ target: request.url ?? '/', host, accept }, Date.now())
  if (found === undefined) return false
  const stored = await deps.readStored(found.resultKey)
  const isStillTrue = Date.now() < found.validUntilMs && found.stillHolds()
  if (stored === undefined || !isStillTrue || response.destroyed) return false
  writeStored({ response, headers, found, stored, startedMs }, deps)
  return true
}

function writeStored(
  written: {
    response: ServerResponse
    headers: HotHeaders
    found: StoredAnswer
    stored: { readonly tier: string; readonly body: Buffer }
    startedMs: number
  },
  deps: StoredDeps,
): void {
  const { response, headers, found, stored, startedMs } = written
  const { tier, body } = stored
  const requestId = requestIdOf(headers.requestId)
  const elapsedMs = performance.now() - startedMs
  response.writeHead(
    200,
    withValues(found.answer.head, {
      'Cache-Status': `halftone; hit; detail=${tier}`,
      'Server-Timing': `cache;desc=${tier}, total;dur=${elapsedMs.toFixed(1)}`,
      'X-Request-Id': requestId,
    }),
  )
  response.end(body)
  cutWhenStalled(response, deps.server.stallTimeoutMs)
  const answer = { ...found.answer, facts: { ...found.answer.facts, outcome: tier } }
  const seconds = (performance.now() - startedMs) / 1000
  deps.onHot({ requestId, method: 'GET', answer, status: 200, bytes: body.length, seconds })
}

/** A copy of a flat list of names and values in which these names have these values. */
function withValues(head: readonly string[], values: Readonly<Record<string, string>>): string[] {
  const copy = [...head]
  for (let index = 0; index + 1 < copy.length; index += 2)
    copy[index + 1] = values[copy[index] ?? ''] ?? copy[index + 1] ?? ''
  return copy
}
