import { shownDatabaseUrl } from '../config/postgres-url.ts'
import { AppError } from '../errors.ts'
import { codeOf } from './postgres-failure.ts'
import { tlsFault } from './postgres-tls-fault.ts'

type Place = {
  readonly shown: string
  readonly user: string
  readonly database: string
  readonly hasPassword: boolean
}

const escapes = '@, / and % in a password are written %40, %2F and %25'

/** By SQLSTATE: what is wrong, and what to do. */
const mends: Readonly<Record<string, (place: Place) => string>> = {
  '28P01': ({ user }) => `the user ${user} or its password is wrong. Correct the URL (${escapes})`,
  '28000': ({ user }) =>
    `user ${user} is not let in. Make the user (createuser), or allow this server in pg_hba.conf; where that wants TLS, write sslmode=verify-full in the URL`,
  '3D000': ({ database }) => `there is no database ${database}. Make it (createdb ${database}), or correct the name`,
  '42501': ({ user, database }) =>
    `user ${user} may not make tables. Let it: ALTER DATABASE ${database} OWNER TO ${user}, or GRANT CREATE ON SCHEMA public TO ${user}`,
  '25006': () => 'the server only reads: it is a standby. Name the primary',
  '53300': () => 'the server has no connection left. Raise its max_connections, or lower HALFTONE_DATABASE_CONNECTIONS',
}

/** Why the database cannot be used, for whoever starts the server; never with the password. */
export function startFailure(error: unknown, url: string): AppError {
  if (error instanceof AppError && error.code !== 'overloaded') return error
  const cause = error instanceof AppError ? error.cause : error
  return startFailureOf(codeOf(cause), url, cause)
}

export function startFailureOf(code: string | undefined, url: string, cause?: unknown): AppError {
  const place = placeOf(url)
  if (!place.hasPassword && asksForPassword(code, cause)) {
    const detail = `DATABASE_URL has no password, and the server wants one (${place.shown}). Write it postgres://user:password@host:port/database (${escapes}).`
    return new AppError('internal', { cause, detail })
  }
  const known = code === undefined ? tlsFault(cause, url) : mends[code]?.(place)
  const said = known ?? unknownReason(cause, code)
  return new AppError('internal', { cause, detail: `DATABASE_URL (${place.shown}): ${said}.` })
}

function placeOf(url: string): Place {
  const { username, password, pathname, searchParams } = new URL(url)
  return {
    shown: shownDatabaseUrl(url),
    user: searchParams.get('user') ?? (decodeURIComponent(username) || '(none)'),
    database: decodeURIComponent(pathname.slice(1)),
    hasPassword: (searchParams.get('password') ?? password) !== '',
  }
}

/** The driver has no code for being asked for a password that it does not have. */
function asksForPassword(code: string | undefined, cause: unknown): boolean {
  if (code !== undefined) return code === '28P01'
  return cause instanceof Error && /client password must be/.test(cause.message)
}

function unknownReason(cause: unknown, code: string | undefined): string {
  const reason = reasonOf(cause)
  return code === undefined
    ? `PostgreSQL cannot be reached (${reason}). Start it, or correct host and port`
    : `PostgreSQL says: ${reason} (${code})`
}

/** Where a name has several addresses, what happened to each is all there is. */
function reasonOf(cause: unknown): string {
  if (cause instanceof AggregateError) return [...new Set(cause.errors.map(reasonOf))].join(', ')
  if (!(cause instanceof Error)) return 'no answer'
  return cause.message.replace(/\.$/, '') || ('code' in cause ? String(cause.code) : cause.name)
}
