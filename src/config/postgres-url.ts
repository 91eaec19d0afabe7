import type { ValueParser } from './value-parsers.ts'

/** The URL of a PostgreSQL database; what stands behind `?` is looked at by `postgresParameterFaults`. */
export function postgresUrl(): ValueParser<string> {
  return {
    expected: 'postgres://user:password@host:port/database (@, / and % in the password as %40, %2F and %25)',
    parse: (text) => (isPostgresUrl(text) ? text : undefined),
  }
}

/** The URL as it may be shown: everything but the password and what the driver is told. */
export function shownDatabaseUrl(text: string): string {
  const url = new URL(text)
  return `${url.protocol}//${url.username === '' ? '' : `${url.username}@`}${url.host}${url.pathname}`
}

function isPostgresUrl(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !['postgres:', 'postgresql:'].includes(url.protocol)) return false
  // Of a Unix socket the host is the folder, and stands behind the question mark.
  const hasHost = url.hostname !== '' || url.searchParams.has('host')
  return hasHost && isDecodable([url.username, url.password, url.pathname]) && url.pathname.length > 1
}

function isDecodable(parts: readonly string[]): boolean {
  try {
    return parts.map(decodeURIComponent).every((part) => !part.includes('\0'))
  } catch {
    return false
  }
}
