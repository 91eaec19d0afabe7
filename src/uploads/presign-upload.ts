import { createHash } from 'node:crypto'
import type { Principal } from '../auth/authenticator.ts'
import type { UploadRecord, UploadWay } from '../db/records.ts'
import { AppError } from '../errors.ts'
import { withDeadline } from '../lib/deadline.ts'
import { newId } from '../lib/new-id.ts'
import { projectOf } from './access.ts'
import { intendedImage, type IntendedImage } from './intended-image.ts'
import type { SignedRequest } from './targets/upload-target.ts'
import type { UploadDeps } from './upload-deps.ts'
import type { UploadIntent } from './upload-intent.ts'
import { assertIntent, type UploadRules } from './upload-policy.ts'
import { expiredUpload } from './upload-state.ts'

/** How the bytes are to be sent. */
export type UploadPermission =
  SignedRequest | { readonly method: 'PARTS'; readonly partBytes: number; readonly parts: number; readonly url: string }

export type Presigned = {
  readonly upload: UploadRecord
  readonly permission: UploadPermission | undefined
  readonly repeated: boolean
}

/**
 * Policy first, then a record of our own, then a permission for exactly that object. A repeated `Idempotency-Key` gets the same record,
 * and a fresh permission while the bytes are still to come.
 */
export async function presignUpload(
  intent: UploadIntent,
  asked: { readonly principal: Principal; readonly idempotencyKey: string | undefined },
  deps: UploadDeps,
  signal: AbortSignal,
): Promise<Presigned> {
  const { principal, idempotencyKey } = asked
  const image = await intendedImage(intent, principal, deps)
  const { filename, sha256, size: byteLength, type: contentType } = intent
  assertIntent(image.rules, { contentType, byteLength })
  const { upload, repeated } = await createUpload(
    { image, filename, sha256, byteLength, contentType, ...wayFor(intent, deps) },
    createdBy(principal, idempotencyKey, intent),
    deps,
  )
  if (!repeated) deps.count('presigned')
  const permission = upload.state === 'pending' ? await permit(upload, image.rules, deps, signal) : undefined
  return { upload, permission, repeated }
}

/** Who begins an upload; with the key and the body that it goes with, twice the same is one. */
export type CreatedBy = {
  readonly principal: Principal
  readonly idempotency?: { readonly key: string; readonly body: unknown }
}

export type CreateAsked = Pick<UploadRecord, 'filename' | 'sha256' | 'byteLength' | 'contentType' | 'way'> & {
  readonly image: IntendedImage
  readonly partBytes?: number
}

/** Those without credentials are told apart by address only: a repeated key would hand one the upload of another. */
export function createdBy(principal: Principal, key: string | undefined, body: unknown): CreatedBy {
  return key === undefined || principal.kind === 'anonymous' ? { principal } : { principal, idempotency: { key, body } }
}

/** Forgets that a key was used for this upload. */
export async function freeKey(
  { id: uploadId }: UploadRecord,
  { principal, idempotency }: CreatedBy,
  { stores }: UploadDeps,
): Promise<void> {
  if (idempotency === undefined) return
  await stores.uploads.freeIdempotency({ principal: nameOf(principal), key: idempotency.key, uploadId })
}

/** The record of an upload that is allowed. Throws `quota_exceeded`, `idempotency_mismatch`, `not_found` (the image to replace). */
export async function createUpload(
  asked: CreateAsked,
  by: CreatedBy,
  deps: UploadDeps,
): Promise<{ readonly upload: UploadRecord; readonly repeated: boolean }> {
  const { principal, idempotency } = by
  const { image, ...file } = asked
  const id = newId('upl')
  const now = deps.now()
  return deps.stores.uploads.create(
    {
      ...{ ...file, ...image.owner, id },
      imageId: image.id ?? newId('img'),
      visibility: image.rules.visibility,
      kind: image.kind,
      subject: image.subject,
      metadata: image.metadata,
      stagingKey: `staging/${id}`,
      partBytes: file.partBytes,
      reservedBytes: file.byteLength ?? image.rules.maxBytes,
      expiresAtMs: now + lifeSeconds(file.way, deps) * 1000,
      createdAtMs: now,
    },
    {
      quota: projectOf(deps.config, principal.project).quota,
      ...(idempotency && {
        idempotency: {
          principal: nameOf(principal),
          key: idempotency.key,
          bodyHash: createHash('sha256').update(JSON.stringify(idempotency.body)).digest('hex'),
          untilMs: now + deps.config.idempotencySeconds * 1000,
        },
      }),
    },
  )
}

/** A slow line needs hours for many parts; none of their permissions lasts longer than any other. */
function lifeSeconds(way: UploadWay, { config }: UploadDeps): number {
  return way === 'parts' ? Math.max(config.partsSeconds, config.permissionSeconds) : config.permissionSeconds
}

/** Whose idempotency keys are apart from all others'. Nobody in particular has no name, but an owner. */
function nameOf({ project, kind, owner, name }: Principal): string {
  return JSON.stringify([project, kind, owner, name])
}

export type SignedParts = {
  /** How long they may be begun with; after that they are asked for anew, while the upload lasts. */
  readonly expiresInSeconds: number
  readonly parts: readonly (SignedRequest & { readonly number: number })[]
}

/** Signs parts of an upload, in batches as the client gets there, and again where it was too slow. Throws `wrong_state`, `bad_request`. */
export async function signParts(
  upload: UploadRecord,
  numbers: readonly number[],
  deps: UploadDeps,
  signal: AbortSignal,
): Promise<SignedParts> {
  const { multipartId, byteLength, stagingKey, state } = upload
  if (state !== 'pending' || multipartId === undefined || byteLength === undefined) {
    throw new AppError('wrong_state', {
      detail: `The upload is ${state} and ${multipartId === undefined ? 'does not come in parts' : 'takes no more parts'}.`,
    })
  }
  if (upload.expiresAtMs <= deps.now()) throw expiredUpload()
  const { partBytes, count } = partsOf(upload, byteLength, deps)
  const parts = numbers.map((number) => {
    if (number < 1 || number > count) {
      throw new AppError('bad_request', { detail: `"numbers": expected 1 to ${count}, got ${number}.` })
    }
    return { number, byteLength: Math.min(partBytes, byteLength - (number - 1) * partBytes) }
  })
  const expiresInSeconds = permissionSeconds(upload, deps)
  const asked = { key: stagingKey, multipartId, parts, expiresInSeconds }
  return {
    expiresInSeconds,
    parts: await deps.target.signParts(asked, withDeadline(signal, deps.config.targetTimeoutMs)),
  }
}

/** No permission outlives its upload, however late it is asked for. */
function permissionSeconds({ expiresAtMs }: UploadRecord, { config, now }: UploadDeps): number {
  return Math.max(1, Math.min(config.permissionSeconds, Math.floor((expiresAtMs - now()) / 1000)))
}

/** How an upload is cut: as it was when it was allowed, and by the setting where that was before records said so. */
export function partsOf(
  upload: Pick<UploadRecord, 'partBytes'>,
  byteLength: number,
  { config }: Pick<UploadDeps, 'config'>,
): { readonly partBytes: number; readonly count: number } {
  const partBytes = upload.partBytes ?? config.partBytes
  return { partBytes, count: Math.ceil(byteLength / partBytes) }
}

function wayFor(
  intent: UploadIntent,
  { config, target }: UploadDeps,
): { readonly way: UploadWay; readonly partBytes?: number } {
  if (intent.size === undefined) {
    if (target.capabilities.presignedPost) return { way: 'post' }
    throw new AppError('bad_request', {
      detail: '"size": expected the number of bytes, got nothing; this store takes no uploads of unknown size.',
    })
  }
  return intent.size >= config.partsFromBytes && target.capabilities.parts
    ? { way: 'parts', partBytes: config.partBytes }
    : { way: 'put' }
}

async function permit(
  upload: UploadRecord,
  rules: UploadRules,
  deps: UploadDeps,
  signal: AbortSignal,
): Promise<UploadPermission> {
  const { config, target, stores } = deps
  const within = withDeadline(signal, config.targetTimeoutMs)
  const permission = {
    key: upload.stagingKey,
    byteLength: upload.byteLength ?? rules.maxBytes,
    contentType: upload.contentType,
    sha256: upload.sha256,
    expiresInSeconds: permissionSeconds(upload, deps),
  }
  if (upload.way === 'post') return target.signPost(permission, within)
  if (upload.way !== 'parts') return target.signPut(permission, within)
  if (upload.multipartId === undefined) {
    const { stagingKey: key, contentType } = upload
    await stores.uploads.setMultipart(upload.id, await target.startParts({ key, contentType }, within))
  }
  const { partBytes, count: parts } = partsOf(upload, permission.byteLength, deps)
  return { method: 'PARTS', partBytes, parts, url: `${deps.origin()}/v1/uploads/${upload.id}/parts` }
}
