import type { ShareStore } from '../db/stores.ts'
import { AppError } from '../errors.ts'
import type { ImageTokens } from '../signing/share-token.ts'
import type { OriginalGrant } from '../sources/source.ts'

/** What a token in a URL opens of an image, counting its use. Throws `signature_invalid`, `signature_expired`. */
export async function openToken(
  token: string,
  imageId: string,
  deps: { readonly tokens: ImageTokens; readonly shares: Pick<ShareStore, 'find' | 'use'>; readonly now: () => number },
): Promise<OriginalGrant> {
  const verdict = await deps.tokens.verify(token)
  if (verdict.kind === 'expired') throw new AppError('signature_expired')
  if (verdict.kind === 'invalid' || verdict.grant.imageId !== imageId) throw new AppError('signature_invalid')
  const { expiresAtSeconds, shareId } = verdict.grant
  if (shareId === undefined) return { expiresAtSeconds, params: undefined, isCounted: false }
  const share = await deps.shares.find(shareId)
  if (!share || share.imageId !== imageId) throw new AppError('signature_invalid')
  if (share.revokedAtMs !== undefined) throw new AppError('signature_expired', { detail: 'The share was taken back.' })
  if (!(await deps.shares.use(shareId, deps.now())))
    throw new AppError('signature_expired', { detail: 'The share is used up.' })
  return { expiresAtSeconds, params: share.params, isCounted: share.maxUses !== undefined }
}
