import { createHmac } from 'node:crypto'
import { AppError } from '../errors.ts'
import { appendSignature, findSignature, matchesAny, queryValues, readExpiry, targetToSign } from './signed-target.ts'
import type { SignOptions, UrlSigner, Verdict } from './url-signer.ts'

export type SigningKey = { readonly id: string; readonly secret: string }

/**
 * The native scheme: `sig = base64url(HMAC-SHA256(secret, target))` without padding, always last.
 * `kid=` names the key, without it all keys are tried; both `kid` and `expires` are signed. The first key signs.
 */
export function createHmacSha256Signer(keys: readonly SigningKey[]): UrlSigner {
  return {
    scheme: 'native',
    sign: (target, options) => signNative(target, options, keys),
    verify: (target, nowMs) => verifyNative(target, nowMs, keys),
  }
}

function signNative(target: string, options: SignOptions, keys: readonly SigningKey[]): string {
  const base = targetToSign(target, options.expiresAtSeconds)
  const [key] = keysFor(base, keys)
  if (key === undefined) {
    throw new AppError('bad_request', {
      detail: 'No signing key: HALFTONE_SIGNING_KEYS is empty or lacks the kid of this URL',
    })
  }
  return appendSignature(base, 'sig', digest(key, base))
}

function verifyNative(target: string, nowMs: number, keys: readonly SigningKey[]): Verdict {
  const place = findSignature(target, 'sig')
  if (place.kind === 'absent') return { kind: 'none' }
  if (place.kind === 'misplaced') return { kind: 'invalid' }
  const expected = keysFor(place.base, keys).map((key) => digest(key, place.base))
  if (!matchesAny(place.signature, expected)) return { kind: 'invalid' }
  const expiry = readExpiry(place.base)
  if (expiry.kind === 'unreadable') return { kind: 'invalid' }
  if (expiry.kind === 'never') return { kind: 'valid', target: place.base, expiresAtSeconds: undefined }
  if (expiry.seconds * 1000 <= nowMs) return { kind: 'expired', scheme: 'native' }
  return { kind: 'valid', target: place.base, expiresAtSeconds: expiry.seconds }
}

/** The keys that may have signed this target; none when its `kid` is unknown or stated twice. */
function keysFor(base: string, keys: readonly SigningKey[]): readonly SigningKey[] {
  const named = queryValues(base, 'kid')
  if (named.length === 0) return keys
  return named.length === 1 ? keys.filter((key) => key.id === named[0]) : []
}

function digest(key: SigningKey, base: string): string {
  return createHmac('sha256', key.secret).update(base).digest('base64url')
}
