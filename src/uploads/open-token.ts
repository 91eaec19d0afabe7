import type { ShareStore } from '../db/stores.ts'
import { AppError } from '../errors.ts'
import type { ImageTokens } from '../signing/share-token.ts'
import type { OriginalGrant } from '../sources/source.ts'

/** What a token in a URL opens of an image, counting its use. Throws `signature_invalid`, `signature_expired`. */
export async function openToken(
  token: string,
  asked: {
    readonly imageId: string
    /** As the URL says it; undefined follows the newest. */ readonly version: number | undefined
  },
  deps: { readonly tokens: ImageTokens; readonly shares: Pick<ShareStore, 'find' | 'use'>; readonly now: () => number },
): Promise<OriginalGrant> {
  const verdict = await deps.tokens.verify(token)
  if (verdict.kind === 'expired')
    throw new AppError('signature_expired', { detail: 'Whoever gave you this URL can make a new one.' })
  if (verdict.kind === 'invalid' || verdict.grant.imageId !== asked.imageId) throw new AppError('signature_invalid')
  const { expiresAtSeconds, shareId, version } = verdict.grant
  // What was shown is what the token was given for: an older version may be what its owner wanted to be rid of.
  if (version !== asked.version)
    throw new AppError('signature_invalid', { detail: 'The token is for another version of the image.' })
  if (shareId === undefined) return { expiresAtSeconds, params: undefined, isCounted: false }
  const share = await deps.shares.find(shareId)
  if (!share || share.imageId !== asked.imageId) throw new AppError('signature_invalid')
  if (share.revokedAtMs !== undefined) throw new AppError('signature_expired', { detail: 'The share was taken back.' })
  if (!(await deps.shares.use(shareId, deps.now())))
    throw new AppError('signature_expired', { detail: 'The share is used up.' })
  return { expiresAtSeconds, params: share.params, isCounted: share.maxUses !== undefined }
}
