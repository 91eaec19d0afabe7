import parseRange from 'range-parser'

/** RFC 9110 13.1.2: lists, `*`, and weak comparison, as GET and HEAD want it. */
export function matchesIfNoneMatch(ifNoneMatch: string, etag: string): boolean {
  if (ifNoneMatch.trim() === '*') return true
  const opaque = etag.replace(/^W\//, '')
  const tags = ifNoneMatch.match(/(?:W\/)?"[^"]*"/g) ?? []
  return tags.some((tag) => tag.replace(/^W\//, '') === opaque)
}

/** Whether the client's copy is still good; `If-None-Match` outranks `If-Modified-Since` (RFC 9110 13.2.2). */
export function isNotModified(
  conditions: { readonly ifNoneMatch: string | undefined; readonly ifModifiedSince: string | undefined },
  current: { readonly etag: string; readonly lastModifiedMs: number },
): boolean {
  if (conditions.ifNoneMatch !== undefined) return matchesIfNoneMatch(conditions.ifNoneMatch, current.etag)
  if (conditions.ifModifiedSince === undefined) return false
  const sinceMs = Date.parse(conditions.ifModifiedSince)
  return !Number.isNaN(sinceMs) && Math.floor(current.lastModifiedMs / 1000) * 1000 <= sinceMs
}

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
  return Date.parse(ifRange) === Math.floor(current.lastModifiedMs / 1000) * 1000
}
