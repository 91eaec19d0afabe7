import { isIP } from 'node:net'
import type { SourceConfig } from '../config/config.ts'
import { judgeAddress, parseBlocks } from './address-guard.ts'
import { hostNameOf } from './source-url.ts'

export type RefusedOrigin = { readonly source: string; readonly host: string }

/**
 * Origins that no original will ever come from, told at the start and not only by the first request. Addresses and `localhost` (RFC 6761)
 * alone: other names would have to be looked up, and may lead elsewhere by then. Pure.
 */
export function refusedOrigins(sources: readonly SourceConfig[]): readonly RefusedOrigin[] {
  return sources.flatMap((source) => {
    if (source.kind === 'folder') return []
    const allowed = parseBlocks(source.allowAddresses)
    const isRefused = (host: string) =>
      addressesOf(host).length > 0 && addressesOf(host).every((address) => !judgeAddress(address, allowed).allowed)
    const hosts = source.origins.flatMap((origin) => (origin.kind === 'http' ? [hostNameOf(new URL(origin.url))] : []))
    return hosts.filter(isRefused).map((host) => ({ source: source.name, host }))
  })
}

function addressesOf(host: string): readonly string[] {
  if (host === 'localhost' || host.endsWith('.localhost')) return ['127.0.0.1', '::1']
  return isIP(host) === 0 ? [] : [host]
}
