import type { Request } from 'express'
import ipaddr from 'ipaddr.js'

/**
 * Whom a limit per address counts. The address is the one that express found by its `trust proxy` setting; of IPv6 the
 * first 64 bits, as every home has that many addresses at least.
 */
export function clientAddress(request: Pick<Request, 'ip'>): string {
  const text = request.ip ?? ''
  if (!ipaddr.isValid(text)) return 'unknown'
  const address = ipaddr.process(text)
  if (address instanceof ipaddr.IPv4) return address.toString()
  return `${address.parts
    .slice(0, 4)
    .map((part) => part.toString(16))
    .join(':')}::/64`
}
