import { AppError } from '../errors.ts'

/** Names under which this server itself is reached: `img.example.com` (any port) or `localhost:8080`. */
export type OwnHosts = ReadonlySet<string>

/** Text of a URL as the URL standard reads it; `0x7f.1`, `2130706433` and full-width digits come out as `127.0.0.1`. */
export function parseSourceUrl(text: string, base?: URL): URL {
  const url = URL.parse(text, base?.href)
  if (url === null) throw new AppError('source_url_invalid', { detail: 'Expected an absolute http or https URL.' })
  url.hash = ''
  return url
}

/** What holds for every hop, wherever its URL came from. Throws `source_url_refused` or `source_loop`. */
export function assertFetchable(url: URL, ownHosts: OwnHosts): void {
  if (url.protocol !== 'http:' && url.protocol !== 'https:') refuse('its scheme is neither http nor https')
  if (url.username !== '' || url.password !== '') refuse('it holds credentials')
  const name = hostNameOf(url)
  if (ownHosts.has(name) || ownHosts.has(`${name}:${portOf(url)}`))
    throw new AppError('source_loop', {
      detail: 'The host of the original is this very server; give the URL of the original itself.',
    })
}

/** What holds for URLs that the operator did not write: clients' and those in redirects. */
export function assertWebPort(url: URL): void {
  const port = portOf(url)
  // Below 1024 live mail, shells and the like; an HTTP request to them can only be abuse.
  if (port < 1024 && port !== 80 && port !== 443) refuse(`it names port ${port}`)
}

/** A redirect may not leave TLS: what was asked for by a safe way must not come back by an open one. */
export function assertNoDowngrade(from: URL, to: URL): void {
  if (from.protocol === 'https:' && to.protocol === 'http:') refuse('it leads from https to http')
}

/**
 * Whether a host is on the list; an empty list has them all. `*` stands for one label, a leading `**` for one or more:
 * `*.example.com`, `**.example.com`. Compared by label on the parsed name, so neither prefixes nor suffixes can be forged.
 */
export function assertListedHost(url: URL, patterns: readonly string[]): void {
  const labels = hostNameOf(url).split('.')
  if (patterns.length === 0 || patterns.some((pattern) => matchesLabels(labels, pattern.split('.')))) return
  refuse('its host is not on the list of this source')
}

/** Without brackets and the root dot; lower case and ASCII by the URL standard. */
export function hostNameOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '')
}

function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port)
  return url.protocol === 'https:' ? 443 : 80
}

function matchesLabels(labels: readonly string[], pattern: readonly string[]): boolean {
  const [first, ...rest] = pattern
  if (first === '**') {
    const tail = labels.slice(-rest.length)
    return rest.length > 0 && labels.length > rest.length && matchesLabels(tail, rest)
  }
  return labels.length === pattern.length && pattern.every((label, at) => label === '*' || label === labels[at])
}

function refuse(reason: string): never {
  throw new AppError('source_url_refused', { detail: `The URL is not allowed: ${reason}.` })
}
