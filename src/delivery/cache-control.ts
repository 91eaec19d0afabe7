/** Facts that decide how long an answer may be kept, and by whom. */
export type Freshness = {
  readonly isPrivate: boolean
  /** The bytes behind the URL never change. */
  readonly isImmutable: boolean
  readonly maxAgeSeconds: number
  readonly staleWhileRevalidateSeconds: number
  readonly expiresAtSeconds: number | undefined
}

const yearSeconds = 31_536_000

/** `Cache-Control` of a picture. An expiring URL is never kept beyond its end, not even stale. */
export function cacheControl(freshness: Freshness, nowMs: number): string {
  const { isPrivate, isImmutable, expiresAtSeconds } = freshness
  const scope = isPrivate ? 'private' : 'public'
  const wishedSeconds = isImmutable ? yearSeconds : freshness.maxAgeSeconds
  if (expiresAtSeconds !== undefined) {
    const remainingSeconds = Math.max(0, Math.floor(expiresAtSeconds - nowMs / 1000))
    return `${scope}, max-age=${Math.min(wishedSeconds, remainingSeconds)}`
  }
  if (isImmutable) return `${scope}, max-age=${yearSeconds}, immutable`
  if (isPrivate) return `private, max-age=${wishedSeconds}`
  return `public, max-age=${wishedSeconds}, stale-while-revalidate=${freshness.staleWhileRevalidateSeconds}`
}
