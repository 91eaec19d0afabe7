import { errors, jwtVerify, SignJWT } from 'jose'

/** What a token in a URL opens: one image, to whoever holds it, until it ends. */
export type ImageGrant = {
  readonly imageId: string
  /** The one version it opens; undefined opens the newest, whichever that is. */
  readonly version: number | undefined
  readonly expiresAtSeconds: number
  /** The share it belongs to, whose row says more; undefined for a signed URL that leaves the transform free. */
  readonly shareId: string | undefined
}

export type GrantVerdict =
  { readonly kind: 'valid'; readonly grant: ImageGrant } | { readonly kind: 'invalid' } | { readonly kind: 'expired' }

/** Tokens that are read from URLs. Each kind has a `typ` of its own, so that none can stand in for another. */
export interface ImageTokens {
  sign(grant: ImageGrant): Promise<string>
  verify(token: string): Promise<GrantVerdict>
}

const accessType = 'halftone-access+jwt'
const shareType = 'halftone-share+jwt'
// Ours have some 250 characters.
const maxTokenLength = 1000

/** `secret` has at least 32 bytes. */
export function createImageTokens(secret: Uint8Array, now: () => number = Date.now): ImageTokens {
  return {
    sign({ imageId, version, expiresAtSeconds, shareId }) {
      const token = new SignJWT({
        ...(shareId === undefined ? {} : { jti: shareId }),
        ...(version === undefined ? {} : { ver: version }),
      })
        .setProtectedHeader({ alg: 'HS256', typ: shareId === undefined ? accessType : shareType })
        .setSubject(imageId)
        .setExpirationTime(expiresAtSeconds)
      return token.sign(secret)
    },
    async verify(token) {
      if (token.length > maxTokenLength) return { kind: 'invalid' }
      try {
        const { payload, protectedHeader } = await jwtVerify(token, secret, {
          algorithms: ['HS256'],
          currentDate: new Date(now()),
          requiredClaims: ['sub', 'exp'],
        })
        const { sub, exp, jti, ver } = payload
        const isShare = protectedHeader.typ === shareType
        if (sub === undefined || exp === undefined || (!isShare && protectedHeader.typ !== accessType))
          return { kind: 'invalid' }
        if (isShare !== (jti !== undefined) || isShare === (ver !== undefined)) return { kind: 'invalid' }
        const version = typeof ver === 'number' ? ver : undefined
        return { kind: 'valid', grant: { imageId: sub, version, expiresAtSeconds: exp, shareId: jti } }
      } catch (error) {
        return { kind: error instanceof errors.JWTExpired ? 'expired' : 'invalid' }
      }
    },
  }
}
