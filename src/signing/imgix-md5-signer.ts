import { createHash } from 'node:crypto'
import { AppError } from '../errors.ts'
import { appendSignature, findSignature, matchesAny, readExpiry, targetToSign } from './signed-target.ts'
import type { UrlSigner, Verdict } from './url-signer.ts'

/** The imgix scheme: `s = md5hex(token + target)`, 32 lower-case hex digits, always last. The first token signs. */
export function createImgixMd5Signer(tokens: readonly string[]): UrlSigner {
  return {
    scheme: 'imgix',
    sign: (target, options) => {
      const [token] = tokens
      if (token === undefined)
        throw new AppError('bad_request', { detail: 'No imgix token: HALFTONE_IMGIX_TOKENS is empty' })
      const base = targetToSign(target, options.expiresAtSeconds)
      return appendSignature(base, 's', digest(token, base))
    },
    verify: (target, nowMs) => verifyImgix(target, nowMs, tokens),
  }
}

function verifyImgix(target: string, nowMs: number, tokens: readonly string[]): Verdict {
  const place = findSignature(target, 's')
  if (place.kind === 'absent') return { kind: 'none' }
  if (place.kind === 'misplaced') return { kind: 'invalid' }
  const expected = tokens.map((token) => digest(token, place.base))
  if (!matchesAny(place.signature, expected)) return { kind: 'invalid' }
  const expiry = readExpiry(place.base)
  // Fails closed: imgix ignores bad values elsewhere, but a limit its owner signed must not vanish by a typing error.
  if (expiry.kind === 'unreadable') return { kind: 'invalid' }
  if (expiry.kind === 'never') return { kind: 'valid', target: place.base, expiresAtSeconds: undefined }
  if (expiry.seconds * 1000 <= nowMs) return { kind: 'expired', scheme: 'imgix' }
  return { kind: 'valid', target: place.base, expiresAtSeconds: expiry.seconds }
}

function digest(token: string, base: string): string {
  return createHash('md5').update(token).update(base).digest('hex')
}
