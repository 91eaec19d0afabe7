import type { Params } from '../params/params.ts'
import type { Capabilities } from './capabilities.ts'

export type NarrowedCapabilities = {
  readonly capabilities: Capabilities
  /** Whether the answer depends on `Accept`, so that it must say `Vary: Accept`, its fallback included. */
  readonly negotiated: boolean
  /** The client's part of the cache key: empty, or one of four words. */
  readonly key: '' | 'avif+webp' | 'avif' | 'webp' | 'neither'
}

/**
 * Forgets what does not matter for this URL. Only auto=format looks at `Accept`; cache key, Vary and planner all take
 * this result, so headers can make no more than four variants of a URL.
 */
export function narrowCapabilities(params: Params, capabilities: Capabilities): NarrowedCapabilities {
  if (!params.auto?.includes('format')) {
    return { capabilities: { avif: false, webp: false }, negotiated: false, key: '' }
  }
  const { avif, webp } = capabilities
  return { capabilities: { avif, webp }, negotiated: true, key: keyOf(capabilities) }
}

function keyOf({ avif, webp }: Capabilities): NarrowedCapabilities['key'] {
  if (avif) return webp ? 'avif+webp' : 'avif'
  return webp ? 'webp' : 'neither'
}
