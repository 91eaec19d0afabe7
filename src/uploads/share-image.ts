import { z } from 'zod'
import type { ImageRecord, ShareRecord } from '../db/records.ts'
import { AppError } from '../errors.ts'
import { newId } from '../lib/new-id.ts'
import type { ImageTokens } from '../signing/share-token.ts'
import { newestVersion } from './change-image.ts'
import type { UploadDeps } from './upload-deps.ts'

/** A query string of imgix params, without `?`. Signatures and tokens are made here and not handed in. */
const params = z
  .string()
  .max(2000)
  .regex(/^[!"$-;=-~]*$/, 'a query string without `?`, `#` and spaces')
  .refine(
    (query) =>
      [...new URLSearchParams(query).keys()].every((name) => !['sig', 's', 'kid', 'expires', 'token'].includes(name)),
    'params of a transform only',
  )

export const signedUrlIntent = z.strictObject({ expiresIn: z.int().min(1).optional(), params: params.optional() })
export type SignedUrlIntent = z.infer<typeof signedUrlIntent>

export const shareIntent = z.strictObject({
  expiresIn: z.int().min(1).optional(),
  maxUses: z.int().min(1).max(1_000_000_000).optional(),
  params: params.optional(),
})
export type ShareIntent = z.infer<typeof shareIntent>

type ShareDeps = Pick<UploadDeps, 'stores' | 'config' | 'urls' | 'now' | 'count'> & { readonly tokens: ImageTokens }

/**
 * A URL of the newest version that ends by itself. With `params` it opens that one transform; without it any, by adding params to it.
 * Throws `wrong_state`, `bad_request` (beyond the longest life allowed).
 */
export async function signImageUrl(
  image: ImageRecord,
  intent: SignedUrlIntent,
  deps: ShareDeps,
): Promise<{ readonly url: string; readonly expiresAt: string }> {
  const version = image.state === 'ready' ? await newestVersion(image, deps) : undefined
  if (!version)
    throw new AppError('wrong_state', {
      detail: `The image is ${image.state}; only ready ones have URLs that show them.`,
    })
  const expiresAtMs = endOf(intent.expiresIn, deps)
  const expiresAt = new Date(expiresAtMs).toISOString()
  // Signed also where the image is public: the URL then keeps working when that changes.
  if (intent.params !== undefined) {
    return {
      url: deps.urls.ofVersion({ ...image, visibility: 'private' }, version, intent.params, expiresAtMs),
      expiresAt,
    }
  }
  const token = await deps.tokens.sign({
    imageId: image.id,
    version: version.version,
    expiresAtSeconds: seconds(expiresAtMs),
    shareId: undefined,
  })
  const open = deps.urls.ofVersion({ ...image, visibility: 'public' }, version, `token=${token}`, expiresAtMs)
  return { url: open, expiresAt }
}

export type ShareDocument = {
  readonly id: string
  readonly expiresAt: string
  readonly maxUses: number | null
  readonly uses: number
  readonly params: string | null
  readonly revoked: boolean
}

/** Shares can be taken back, and counted. The URL follows the newest version. Throws `bad_request` (beyond the longest life allowed). */
export async function shareImage(
  image: ImageRecord,
  intent: ShareIntent,
  createdBy: string,
  deps: ShareDeps,
): Promise<ShareDocument & { readonly url: string }> {
  const expiresAtMs = endOf(intent.expiresIn, deps)
  const share = await deps.stores.shares.create({
    id: newId('shr'),
    imageId: image.id,
    createdBy,
    expiresAtMs,
    maxUses: intent.maxUses,
    params: intent.params,
    createdAtMs: deps.now(),
  })
  deps.count('shared')
  const token = await deps.tokens.sign({
    imageId: image.id,
    version: undefined,
    expiresAtSeconds: seconds(expiresAtMs),
    shareId: share.id,
  })
  return { ...describeShare(share), url: `${deps.urls.ofNewest(image.id)}?token=${token}` }
}

export function describeShare(share: ShareRecord): ShareDocument {
  const { id, expiresAtMs, maxUses, uses, params: fixed, revokedAtMs } = share
  return {
    ...{ id, uses },
    expiresAt: new Date(expiresAtMs).toISOString(),
    maxUses: maxUses ?? null,
    params: fixed ?? null,
    revoked: revokedAtMs !== undefined,
  }
}

function endOf(expiresIn: number | undefined, { config, now }: Pick<ShareDeps, 'config' | 'now'>): number {
  const lifeSeconds = expiresIn ?? config.signedUrlSeconds
  if (lifeSeconds > config.signedUrlMaxSeconds) {
    throw new AppError('bad_request', {
      detail: `"expiresIn": expected at most ${config.signedUrlMaxSeconds} seconds, got ${lifeSeconds}.`,
    })
  }
  return now() + lifeSeconds * 1000
}

function seconds(ms: number): number {
  return Math.floor(ms / 1000)
}
