import { createHash } from 'node:crypto'
import { basename } from 'node:path/posix'
import { create as contentDisposition } from 'content-disposition'
import type { CachedResult } from '../cache/cached-result.ts'
import type { DeliveryConfig } from '../config/config.ts'
import { AppError } from '../errors.ts'
import type { OriginalState } from '../sources/source.ts'
import { extensionOf, type OutputFormat } from '../transform/image/formats.ts'
import { appliedParams } from '../transform/params/canonicalize.ts'
import type { AnswerFacts, ImageAnswer } from './image-answer.ts'
import { cacheControl } from './cache-control.ts'
import { resolveRange } from './conditional-request.ts'
import type { ImageRequest, RawRequest } from './image-request.ts'

/** Where a result came from; decides `Cache-Status` and the log line. */
export type ResultOrigin =
  | { readonly kind: 'hit'; readonly tier: string }
  | { readonly kind: 'rendered'; readonly collapsed: boolean; readonly stored: boolean }

export type ResponseContext = {
  readonly raw: RawRequest
  readonly request: ImageRequest
  readonly state: OriginalState
  readonly etag: string
  readonly nowMs: number
  readonly startedMs: number
  readonly delivery: DeliveryConfig
}

// Whatever is served, it can neither run script nor load anything: an SVG opened as a document stays a picture.
const contentSecurityPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"

/** The headers that every image answer carries, errors included. */
export function sharedHeaders(requestId: string, delivery: DeliveryConfig): [string, string][] {
  return [
    ['X-Request-Id', requestId],
    ['X-Content-Type-Options', 'nosniff'],
    ['Content-Security-Policy', contentSecurityPolicy],
    ['Cross-Origin-Resource-Policy', 'cross-origin'],
    ['Access-Control-Allow-Origin', delivery.corsOrigin],
    ['Timing-Allow-Origin', delivery.corsOrigin],
  ]
}

/** 304: the client's copy is still good. Needs no result, only the key. */
export function notModifiedAnswer(context: ResponseContext): ImageAnswer {
  const headers = [
    ...validators(context),
    ['Cache-Status', 'halftone; hit; detail=not-modified'] as const,
    ...serverTiming(context, 'not-modified'),
  ]
  return {
    status: 304,
    headers,
    body: undefined,
    facts: { outcome: 'not-modified', source: context.request.source.name },
  }
}

/** 200, 206 or (thrown) 416 for a result. */
export function resultAnswer(context: ResponseContext, result: CachedResult, origin: ResultOrigin): ImageAnswer {
  const { raw, state, etag } = context
  const { body } = result
  const wantedRange = raw.method === 'GET' ? raw.range : undefined
  const range = resolveRange(wantedRange, raw.ifRange, {
    etag,
    lastModifiedMs: state.lastModifiedMs,
    byteLength: body.length,
  })
  if (range.kind === 'unsatisfiable') {
    throw new AppError('range_not_satisfiable', {
      detail: `Range ${printable(raw.range ?? '')} lies outside the ${body.length} bytes of this image.`,
      details: { byteLength: body.length },
    })
  }
  const part = range.kind === 'part' ? body.subarray(range.start, range.end + 1) : body
  const contentRange: [string, string][] =
    range.kind === 'part' ? [['Content-Range', `bytes ${range.start}-${range.end}/${body.length}`]] : []
  const facts = factsOf(context.request, result, origin)
  const headers: (readonly [string, string])[] = [
    ['Content-Type', result.contentType],
    ['Content-Length', String(part.length)],
    ...contentRange,
    ['Accept-Ranges', 'bytes'],
    ...validators(context),
    ['Content-Disposition', disposition(context.request, result)],
    ['X-Halftone-Params', appliedParams(context.request.params)],
    ['Cache-Status', cacheStatus(origin)],
    ...serverTiming(context, facts.outcome),
  ]
  return { status: range.kind === 'part' ? 206 : 200, headers, body: part, facts }
}

/** What 200, 206 and 304 share (RFC 9110 15.4.5 wants the same on a 304). */
function validators(context: ResponseContext): (readonly [string, string])[] {
  const { request, state, etag, nowMs } = context
  const tags = cacheTags(request)
  return [
    [
      'Cache-Control',
      request.isCounted ? 'private, no-store' : cacheControl(freshnessOf(request, state, nowMs), nowMs),
    ],
    ['ETag', etag],
    ['Last-Modified', new Date(state.lastModifiedMs).toUTCString()],
    ...varyHeader(request.negotiated),
    ['Cache-Tag', tags.join(',')],
    ['Surrogate-Key', tags.join(' ')],
    ...sharedHeaders(context.raw.id, context.delivery),
  ]
}

export function varyHeader(negotiated: boolean): [string, string][] {
  return negotiated ? [['Vary', 'Accept']] : []
}

/** What is left of the life that a remote origin gave, within the bounds of its source, goes before the configured one. */
function freshnessOf(request: ImageRequest, state: OriginalState, nowMs: number) {
  const { immutable, maxAgeSeconds, staleWhileRevalidateSeconds } = request.sourceConfig
  return {
    isPrivate: request.isPrivate,
    isImmutable: immutable,
    maxAgeSeconds: state.freshUntilMs === undefined ? maxAgeSeconds : secondsUntil(state.freshUntilMs, nowMs),
    staleWhileRevalidateSeconds,
    expiresAtSeconds: request.expiresAtSeconds,
  }
}

/** A fraction of a second counts whole: the answer to a fetch just made has all of its life left. */
function secondsUntil(atMs: number, nowMs: number): number {
  return Math.max(0, Math.ceil((atMs - nowMs) / 1000))
}

/** Tags for purging at a CDN: the source, and the original with all its variants. */
export function cacheTags(request: Pick<ImageRequest, 'source' | 'path' | 'rules'>): string[] {
  if (request.rules) return [`source-${request.source.name}`, request.rules.tag]
  const image = createHash('sha256')
    .update(JSON.stringify([request.source.name, request.path]))
    .digest('hex')
    .slice(0, 16)
  return [`source-${request.source.name}`, `image-${image}`]
}

function disposition(request: ImageRequest, result: CachedResult): string {
  const extension = extensionOf(String(result.facts['format']) as OutputFormat)
  const stem = basename(pathOf(request)).replace(/\.[^.]*$/, '') || 'image'
  const { dl } = request.params
  const name = dl && fileName(dl)
  return contentDisposition(name || `${stem}.${extension}`, { type: dl === undefined ? 'inline' : 'attachment' })
}

/** A plain name: no folders, no control characters, whatever a client may make of them. */
function fileName(wish: string): string {
  // eslint-disable-next-line no-control-regex -- these are what must go
  return (wish.split(/[/\\]/).at(-1) ?? '').replace(/[\x00-\x1f\x7f-\x9f]/g, '').replace(/^\.+/, '')
}

function pathOf(request: ImageRequest): string {
  if (request.rules) return request.rules.filename
  return request.sourceConfig.kind === 'web' ? new URL(request.path).pathname : request.path
}

/** RFC 9211. */
function cacheStatus(origin: ResultOrigin): string {
  if (origin.kind === 'hit') return `halftone; hit; detail=${origin.tier}`
  if (origin.collapsed) return 'halftone; fwd=miss; collapsed'
  return origin.stored ? 'halftone; fwd=miss; stored' : 'halftone; fwd=miss'
}

function serverTiming(context: ResponseContext, outcome: string): [string, string][] {
  return [['Server-Timing', `cache;desc=${outcome}, total;dur=${(performance.now() - context.startedMs).toFixed(1)}`]]
}

function factsOf(request: ImageRequest, result: CachedResult, origin: ResultOrigin): AnswerFacts {
  return {
    outcome: origin.kind === 'hit' ? origin.tier : origin.collapsed ? 'collapsed' : 'render',
    source: request.source.name,
    format: String(result.facts['format']),
    width: Number(result.facts['width']),
    height: Number(result.facts['height']),
  }
}

/** Client text made safe for a header or a sentence. */
export function printable(text: string): string {
  const clean = text.replace(/[^\x20-\x7e]/g, '?')
  return clean.length > 100 ? `${clean.slice(0, 100)}...` : clean
}
