import Negotiator from 'negotiator'
import type { Capabilities } from './capabilities.ts'

/** Far above what browsers send (about 120); what stands beyond is not read. */
const MAX_ACCEPT_LENGTH = 2048

/**
 * Reads `Accept` (RFC 9110 12.5.1): a format counts when it is named itself with a q above 0. Ranges such as `image/*`
 * do not count, as old clients and bots that cannot show AVIF send those as well. Never throws.
 */
export function detectCapabilities(accept: string | undefined): Capabilities {
  if (!accept) return { avif: false, webp: false }
  const negotiator = new Negotiator({ headers: { accept: cutAccept(accept) } })
  // Two questions: what is named at all, and what precedence of q-values and parameters makes of it.
  const named = new Set(negotiator.mediaTypes().map((type) => type.toLowerCase()))
  const accepted = new Set(negotiator.mediaTypes(['image/avif', 'image/webp']))
  const shows = (type: string): boolean => named.has(type) && accepted.has(type)
  return { avif: shows('image/avif'), webp: shows('image/webp') }
}

/** Cuts at a comma, so that no media type loses its `q=0`. */
function cutAccept(accept: string): string {
  return accept.length <= MAX_ACCEPT_LENGTH ? accept : accept.slice(0, accept.lastIndexOf(',', MAX_ACCEPT_LENGTH) + 1)
}
