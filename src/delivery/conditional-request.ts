import parseRange from 'range-parser'

/** The conditions of a request that may end in 304. */
export type Conditions = { readonly ifNoneMatch: string | undefined; readonly ifModifiedSince: string | undefined }

/** RFC 9110 13.1.2: whether a tag of the list is this one, by weak comparison, as GET and HEAD want it. */
export function namesEtag(ifNoneMatch: string | undefined, etag: string): boolean {
  const opaque = etag.replace(/^W\//, '')
  const tags = ifNoneMatch?.match(/(?:W\/)?"[^"]*"/g) ?? []
  return tags.some((tag) => tag.replace(/^W\//, '') === opaque)
}

/**
 * Whether the client's copy of a representation that exists is still good; `If-None-Match` outranks `If-Modified-Since`
 * (RFC 9110 13.2.2). Dates must be equal: an older date on newer bytes is common where files are copied with their times.
 */
export function isNotModified(
  { ifNoneMatch, ifModifiedSince }: Conditions,
  current: { readonly etag: string; readonly lastModifiedMs: number },
): boolean {
  if (ifNoneMatch !== undefined) return ifNoneMatch.trim() === '*' || namesEtag(ifNoneMatch, current.etag)
  return ifModifiedSince !== undefined && readHttpDate(ifModifiedSince) === wholeSeconds(current.lastModifiedMs)
}

const httpDates = [
  /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/,
  /^[A-Z][a-z]{5,8}, \d\d-[A-Z][a-z]{2}-\d\d \d\d:\d\d:\d\d GMT$/,
  /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}$/,
]

/** Unix ms of an HTTP-date in any of its three forms (RFC 9110 5.6.7); undefined for anything else that a parser might accept. */
export function readHttpDate(text: string): number | undefined {
  const trimmed = text.trim()
  if (!httpDates.some((form) => form.test(trimmed))) return undefined
  const ms = Date.parse(trimmed.endsWith('GMT') ? trimmed : `${trimmed} GMT`)
  return Number.isNaN(ms) ? undefined : ms
}

const wholeSeconds = (ms: number) => Math.floor(ms / 1000) * 1000

export type ResolvedRange =
  | { readonly kind: 'whole' }
  | { readonly kind: 'part'; readonly start: number; readonly end: number }
  | { readonly kind: 'unsatisfiable' }

/**
 * The one byte range to send (ends inclusive). Several ranges, other units and garbage get the whole body, which RFC 9110
 * 14.2 allows; so does an `If-Range` that no longer names this representation.
 */
export function resolveRange(
  range: string | undefined,
  ifRange: string | undefined,
  current: { readonly etag: string; readonly lastModifiedMs: number; readonly byteLength: number },
): ResolvedRange {
  if (range === undefined || !ifRangeHolds(ifRange, current)) return { kind: 'whole' }
  const ranges = parseRange(current.byteLength, range)
  if (ranges === -1) return { kind: 'unsatisfiable' }
  if (ranges === -2 || ranges.type !== 'bytes' || ranges.length !== 1 || !ranges[0]) return { kind: 'whole' }
  return { kind: 'part', start: ranges[0].start, end: ranges[0].end }
}

function ifRangeHolds(ifRange: string | undefined, current: { etag: string; lastModifiedMs: number }): boolean {
  if (ifRange === undefined) return true
  if (ifRange.includes('"')) return ifRange.trim() === current.etag
  return readHttpDate(ifRange) === wholeSeconds(current.lastModifiedMs)
}
