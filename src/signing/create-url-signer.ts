import { AppError } from '../errors.ts'
import { createHmacSha256Signer } from './hmac-sha256-signer.ts'
import type { SigningKey } from './hmac-sha256-signer.ts'
import { createImgixMd5Signer } from './imgix-md5-signer.ts'
import type { SignOptions, UrlSigner, Verdict } from './url-signer.ts'

/** All configured keys and tokens behind one face. */
export interface TargetSigner {
  /** The schemes that have a key, native first; empty when nothing can be signed or verified. */
  readonly schemes: readonly UrlSigner['scheme'][]
  /** Signatures of schemes without a key are not looked at: they are `none`. */
  verifyTarget(target: string, nowMs: number): Verdict
  /** Signs with the first key of the scheme (default: the first configured). Throws `bad_request`. */
  sign(target: string, options: SignOptions & { readonly scheme?: UrlSigner['scheme'] }): string
}

export function createUrlSigner(config: {
  readonly keys: readonly SigningKey[]
  readonly imgixTokens: readonly string[]
}): TargetSigner {
  const signers: UrlSigner[] = []
  if (config.keys.length > 0) signers.push(createHmacSha256Signer(config.keys))
  if (config.imgixTokens.length > 0) signers.push(createImgixMd5Signer(config.imgixTokens))
  return {
    schemes: signers.map((signer) => signer.scheme),
    verifyTarget: (target, nowMs) => combine(signers.map((signer) => signer.verify(target, nowMs))),
    sign: (target, { scheme, ...options }) => {
      const signer = scheme === undefined ? signers[0] : signers.find((one) => one.scheme === scheme)
      if (signer === undefined) throw new AppError('bad_request', { detail: missingKey(scheme) })
      return signer.sign(target, options)
    },
  }
}

/** A target that carries both kinds is refused: two signatures cannot both stand last. */
function combine(verdicts: readonly Verdict[]): Verdict {
  const carried = verdicts.filter((verdict) => verdict.kind !== 'none')
  const [verdict] = carried
  if (verdict === undefined) return { kind: 'none' }
  return carried.length === 1 ? verdict : { kind: 'invalid' }
}

function missingKey(scheme: UrlSigner['scheme'] | undefined): string {
  return scheme === 'imgix'
    ? 'No imgix token is configured: set HALFTONE_IMGIX_TOKENS'
    : 'No signing key is configured: set HALFTONE_SIGNING_KEYS=kid:secret'
}
