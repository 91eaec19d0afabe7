import { timingSafeEqual } from 'node:crypto'
import { AppError } from '../errors.ts'

/** Where a signature parameter stands in a raw target. `misplaced`: not last, or more than once. */
export type SignaturePlace =
  | { readonly kind: 'absent' }
  | { readonly kind: 'misplaced' }
  | { readonly kind: 'last'; readonly base: string; readonly signature: string }

/** What the query says of its own lifetime. `unreadable`: malformed or stated twice, so nobody can say which one counts. */
export type Expiry =
  { readonly kind: 'never' } | { readonly kind: 'at'; readonly seconds: number } | { readonly kind: 'unreadable' }

/** Printable ASCII without space or `#`: all that a raw target may hold (RFC 9112 3.2), so text and bytes are the same thing. */
const rawTarget = /^\/[!-"$-~]*$/

/** Finds the parameter `name` by the raw grammar: the query begins at the first `?`, only `&` separates. */
export function findSignature(target: string, name: string): SignaturePlace {
  const queryStart = target.indexOf('?')
  if (queryStart < 0) return { kind: 'absent' }
  const pieces = target.slice(queryStart + 1).split('&')
  const count = pieces.filter((piece) => nameOf(piece) === name).length
  if (count === 0) return { kind: 'absent' }
  const last = pieces.at(-1) ?? ''
  if (count > 1 || !last.startsWith(`${name}=`) || !rawTarget.test(target)) return { kind: 'misplaced' }
  // The separator goes with the signature: `/a.jpg?sig=...` signs `/a.jpg`.
  const base = target.slice(0, target.length - last.length - 1)
  return { kind: 'last', base, signature: last.slice(name.length + 1) }
}

/** Values of a query parameter of a raw target, decoded by form rules. */
export function queryValues(target: string, name: string): string[] {
  const queryStart = target.indexOf('?')
  return queryStart < 0 ? [] : new URLSearchParams(target.slice(queryStart + 1)).getAll(name)
}

export function readExpiry(target: string): Expiry {
  const values = queryValues(target, 'expires')
  const [value] = values
  if (value === undefined) return { kind: 'never' }
  if (values.length > 1 || !/^\d{1,12}$/.test(value)) return { kind: 'unreadable' }
  return { kind: 'at', seconds: Number(value) }
}

/** Both are dropped before signing in either scheme: a stale signature in mid-query would spoil the new one. */
const signatureNames: readonly string[] = ['sig', 's']

/** The target to be signed: without older signatures, with the new `expires` last. Throws `bad_request`. */
export function targetToSign(target: string, expiresAtSeconds: number | undefined): string {
  if (!rawTarget.test(target)) {
    throw new AppError('bad_request', {
      detail:
        'A target to sign starts with / and holds only printable ASCII without spaces or #: percent-encode it first',
    })
  }
  const dropped = expiresAtSeconds === undefined ? signatureNames : [...signatureNames, 'expires']
  const queryStart = target.indexOf('?')
  const path = queryStart < 0 ? target : target.slice(0, queryStart)
  const pieces = queryStart < 0 ? [] : target.slice(queryStart + 1).split('&')
  const kept = pieces.filter((piece) => piece !== '' && !dropped.includes(nameOf(piece)))
  if (expiresAtSeconds !== undefined) kept.push(`expires=${String(readableExpiry(expiresAtSeconds))}`)
  return kept.length === 0 ? path : `${path}?${kept.join('&')}`
}

export function appendSignature(base: string, name: string, signature: string): string {
  return `${base}${base.includes('?') ? '&' : '?'}${name}=${signature}`
}

/** Compares the texts, not the decoded bytes: base64url of 32 bytes has spare bits, so two texts can decode alike. */
export function matchesAny(signature: string, expected: readonly string[]): boolean {
  const given = Buffer.from(signature, 'latin1')
  let matched = false
  for (const candidate of expected) {
    const wanted = Buffer.from(candidate, 'latin1')
    // Lengths are public (every digest has the same), and all candidates are tried whatever the earlier ones said.
    const same = wanted.length === given.length && timingSafeEqual(wanted, given)
    matched = same || matched
  }
  return matched
}

function nameOf(piece: string): string {
  const equals = piece.indexOf('=')
  return equals < 0 ? piece : piece.slice(0, equals)
}

function readableExpiry(seconds: number): number {
  if (Number.isInteger(seconds) && seconds >= 0 && seconds < 1e12) return seconds
  throw new AppError('bad_request', {
    detail: `expires: expected whole Unix seconds (0 to 999999999999), got ${String(seconds)}`,
  })
}
