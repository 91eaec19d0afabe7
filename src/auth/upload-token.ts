import { jwtVerify, SignJWT } from 'jose'
import { z } from 'zod'
import { AppError } from '../errors.ts'
import type { Authenticator } from './authenticator.ts'
import { isJwt, typeOf } from './jwt-authenticator.ts'

export type UploadTokens = Authenticator & {
  /** What an uploader without credentials gets instead: good for this upload and nothing else. */
  mint(upload: {
    readonly uploadId: string
    readonly project: string
    readonly owner: string
    readonly expiresAtMs: number
  }): Promise<string>
}

/** No other token of ours names it, so none can stand in for another. */
export const uploadTokenType = 'halftone-upload+jwt'

const claimsSchema = z.object({ sub: z.string().min(1), upload: z.string().min(1), project: z.string().min(1) })

/** Tokens of anonymous uploads, signed by the server's own secret of at least 32 bytes. */
export function createUploadTokens(deps: {
  readonly secret: Uint8Array
  readonly hasProject: (name: string) => boolean
  readonly now: () => number
}): UploadTokens {
  const { secret, hasProject, now } = deps
  return {
    mint({ uploadId, project, owner, expiresAtMs }) {
      return new SignJWT({ upload: uploadId, project })
        .setProtectedHeader({ alg: 'HS256', typ: uploadTokenType })
        .setSubject(owner)
        .setExpirationTime(Math.ceil(expiresAtMs / 1000))
        .sign(secret)
    },
    async authenticate(bearer) {
      if (!isJwt(bearer) || typeOf(bearer) !== uploadTokenType) return undefined
      const verified = await jwtVerify(bearer, secret, {
        algorithms: ['HS256'],
        typ: uploadTokenType,
        requiredClaims: ['exp'],
        currentDate: new Date(now()),
      }).catch((error: unknown) => {
        throw new AppError('unauthenticated', {
          detail: 'The token of the upload has expired or is not ours.',
          cause: error,
        })
      })
      const { sub: owner, upload, project } = claimsSchema.parse(verified.payload)
      if (!hasProject(project)) throw new AppError('unauthenticated', { detail: 'The project is gone.' })
      return {
        kind: 'anonymous',
        project,
        owner,
        scopes: new Set(['uploads:write'] as const),
        name: `upload:${upload}`,
        uploadId: upload,
      }
    },
  }
}
