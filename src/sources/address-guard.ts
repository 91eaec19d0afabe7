import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

/** `range` names the special range (IANA registries, as ipaddr.js calls them) that an address was refused for. */
export type AddressVerdict = { readonly allowed: true } | { readonly allowed: false; readonly range: string }

/** `10.0.0.0/8`, `fd12::/16`, or a single address. */
export type AddressBlock = readonly [ipaddr.IPv4 | ipaddr.IPv6, number]

/** Public by its number, yet answered by the host of the virtual machine (Azure's WireServer hands out secrets). */
const metadataAddresses = new Set(['168.63.129.16'])

/** Only this block holds addresses of the internet today (IANA IPv6 address space); the rest waits or is special. */
const globalUnicast = ipaddr.parseCIDR('2000::/3')

/** Parses the blocks of an allow-list once. Throws on what is no CIDR block; the configuration has checked it before. */
export function parseBlocks(texts: readonly string[]): AddressBlock[] {
  return texts.map((text) => ipaddr.parseCIDR(text.includes('/') ? text : `${text}/${isIP(text) === 6 ? 128 : 32}`))
}

/**
 * Whether a connection to this address may be made: yes for unicast addresses of the internet and what `allowed` lists.
 * An address that carries an IPv4 address (NAT64, 6to4, Teredo ...) needs both judged well, even when its own form is listed.
 */
export function judgeAddress(text: string, allowed: readonly AddressBlock[]): AddressVerdict {
  const address = parseAddress(text)
  if (address === undefined) return refuse('unparsable')
  if (address instanceof ipaddr.IPv4) return judgeV4(address, allowed)
  const own = isListed(address, allowed) ? undefined : rangeOfV6(address)
  if (own !== undefined) return refuse(own)
  const carried = carriedV4(address)
  const verdict = carried.map((one) => judgeV4(one, allowed)).find((one) => !one.allowed)
  return verdict ?? { allowed: true }
}

/**
 * Strict: ipaddr.js takes `0x7f.1` for an IPv4 address, and `::8.8.8.8` for a mapped one, where the system connects to an
 * IPv6 address. Hence `isIP` first, and the hex spelling of the URL standard. A zone (`%eth0`) never makes an address better.
 */
function parseAddress(text: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  const kind = isIP(text)
  if (kind === 4) return ipaddr.IPv4.parse(text)
  if (kind === 0) return undefined
  const bare = text.replace(/%.*$/, '')
  const address = ipaddr.IPv6.parse(new URL(`http://[${bare}]/`).hostname.slice(1, -1))
  return address.isIPv4MappedAddress() ? address.toIPv4Address() : address
}

function judgeV4(address: ipaddr.IPv4, allowed: readonly AddressBlock[]): AddressVerdict {
  if (isListed(address, allowed)) return { allowed: true }
  if (metadataAddresses.has(address.toString())) return refuse('metadata')
  const range = address.range()
  return range === 'unicast' ? { allowed: true } : refuse(range)
}

function rangeOfV6(address: ipaddr.IPv6): string | undefined {
  const range = address.range()
  if (range !== 'unicast') return range
  return address.match(globalUnicast) ? undefined : 'unassigned'
}

/** The IPv4 addresses that a packet to this address may end up at, by range. */
const carriers: Readonly<Record<string, (bytes: readonly number[]) => ipaddr.IPv4[]>> = {
  '6to4': (bytes) => [v4At(bytes, 2)],
  // The server, and the client with its bits turned round (RFC 4380 section 4).
  teredo: (bytes) => [v4At(bytes, 4), new ipaddr.IPv4(bytes.slice(12).map((byte) => byte ^ 0xff))],
  rfc6052: (bytes) => [v4At(bytes, 12)],
  rfc6145: (bytes) => [v4At(bytes, 12)],
}

function carriedV4(address: ipaddr.IPv6): ipaddr.IPv4[] {
  const bytes = address.toByteArray()
  const carried = carriers[address.range()]
  if (carried) return carried(bytes)
  return isV4Compatible(bytes) ? [v4At(bytes, 12)] : []
}

function v4At(bytes: readonly number[], at: number): ipaddr.IPv4 {
  return new ipaddr.IPv4(bytes.slice(at, at + 4))
}

/** `::a.b.c.d` (RFC 4291 2.5.5.1); `::` and `::1` have ranges of their own. */
function isV4Compatible(bytes: readonly number[]): boolean {
  return bytes.slice(0, 12).every((byte) => byte === 0) && bytes.slice(12, 15).some((byte) => byte !== 0)
}

function isListed(address: ipaddr.IPv4 | ipaddr.IPv6, blocks: readonly AddressBlock[]): boolean {
  return blocks.some(([network, bits]) => address.kind() === network.kind() && address.match([network, bits] as never))
}

function refuse(range: string): AddressVerdict {
  return { allowed: false, range }
}
