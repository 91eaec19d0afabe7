import type { IncomingMessage } from 'node:http'
import type { ServerConfig } from '../config/config.ts'
import type { HotAnswer, HotLane } from '../delivery/hot-lane.ts'
import type { ReadyResponse, WriteHotHead } from './ready-response.ts'
import { requestIdOf } from './request-id.ts'
import { cutWhenStalled } from './send-image.ts'

export type HotDeps = {
  readonly hotLane: HotLane
  readonly server: ServerConfig
  readonly onHot: (served: HotServed) => void
}

/** What the listener has made for itself. */
export type HotMeans = { readonly writeHead: WriteHotHead; readonly freshId: () => string }

export type HotServed = {
  readonly requestId: string
  readonly method: string
  readonly answer: HotAnswer
  readonly status: 200 | 304
  readonly bytes: number
  readonly seconds: number
}

export type HotHeaders = {
  host: string | undefined
  accept: string | undefined
  ifNoneMatch: string | undefined
  requestId: string | undefined
  /** Asks for something that only the long way can answer. */
  isSpecial: boolean
}

/** Answers a repeat hit at once; false leaves the request untouched for the long way. */
export function serveHot(request: IncomingMessage, response: ReadyResponse, deps: HotDeps & HotMeans): boolean {
  const startedMs = performance.now()
  const { method, url: target = '/' } = request
  if (method !== 'GET' && method !== 'HEAD') return false
  const headers = readHotHeaders(request.rawHeaders)
  if (headers.isSpecial) return false
  const found = deps.hotLane.find({ target, host: headers.host, accept: headers.accept }, Date.now())
  if (found === undefined) return false

  const { answer, body } = found
  // Other spellings of a match (lists, weak tags, `*`) take the long way.
  const isMatch = headers.ifNoneMatch === answer.etag
  if (headers.ifNoneMatch !== undefined && !isMatch) return false
  const requestId = requestIdOf(headers.requestId, deps.freshId)
  const status = isMatch ? 304 : 200
  const hasBody = !isMatch && method === 'GET'
  deps.writeHead(response, status, answer, requestId)
  response.end(hasBody ? body : undefined)
  cutWhenStalled(response, deps.server.stallTimeoutMs)
  const bytes = hasBody ? body.length : 0
  deps.onHot({ requestId, method, answer, status, bytes, seconds: (performance.now() - startedMs) / 1000 })
  return true
}

// By name: the field it fills, or `special` for what only the long way can answer. Names in lower case.
const hotHeaders: Readonly<Record<string, 'host' | 'accept' | 'ifNoneMatch' | 'requestId' | 'special'>> = {
  host: 'host',
  accept: 'accept',
  'if-none-match': 'ifNoneMatch',
  'x-request-id': 'requestId',
  range: 'special',
  'if-modified-since': 'special',
  'content-length': 'special',
  'transfer-encoding': 'special',
}
const hotLengths = new Set(Object.keys(hotHeaders).map((name) => name.length))

/** Reads only what a hit needs, from the raw list: Node's header object costs more than all the rest of a hit. */
export function readHotHeaders(raw: readonly string[]): HotHeaders {
  const headers: HotHeaders = {
    host: undefined,
    accept: undefined,
    ifNoneMatch: undefined,
    requestId: undefined,
    isSpecial: false,
  }
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index] ?? ''
    if (!hotLengths.has(name.length)) continue
    const field = hotHeaders[name.toLowerCase()]
    if (field === undefined) continue
    // A repeated header means the list of both (RFC 9110 5.3); the long way joins them.
    if (field === 'special' || headers[field] !== undefined) headers.isSpecial = true
    else headers[field] = raw[index + 1]
  }
  return headers
}
