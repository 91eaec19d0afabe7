import CachePolicy from 'http-cache-semantics'

type Headers = Readonly<Record<string, string | undefined>>

/**
 * Seconds for which an answer may be believed from now on, as a shared cache reads it (RFC 9111): s-maxage, max-age,
 * Expires, Age, no-cache, no-store, private. undefined when the origin says nothing.
 */
export function originFreshness(headers: Headers): number | undefined {
  if (headers['cache-control'] === undefined && headers['expires'] === undefined) return undefined
  const policy = new CachePolicy(
    { url: '/', method: 'GET', headers: {} },
    { status: 200, headers: { ...headers } },
    // No guessing from Last-Modified: silence has a setting of its own.
    { shared: true, cacheHeuristic: 0, immutableMinTimeToLive: 0 },
  )
  // Each by itself: the clock may tick between the two, and a millisecond must not cost a second.
  return Math.max(0, Math.floor(policy.maxAge()) - Math.floor(policy.age()))
}

/** A time of whole seconds tells two contents apart only when it is older than a minute (RFC 9110 8.8.2.2). */
const strongAfterMs = 60_000

/** Last-Modified where it can serve as a validator; an ETag is always better. */
export function lastModifiedValidator(headers: Headers, nowMs: number): string | undefined {
  const text = headers['last-modified']
  const modifiedMs = text === undefined ? Number.NaN : Date.parse(text)
  const dateMs = Date.parse(headers['date'] ?? '')
  const seenMs = Number.isNaN(dateMs) ? nowMs : dateMs
  return headers['etag'] === undefined && seenMs - modifiedMs >= strongAfterMs ? text : undefined
}
