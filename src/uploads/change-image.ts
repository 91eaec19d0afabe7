import type { z } from 'zod'
import type { Principal } from '../auth/authenticator.ts'
import type { ImageRecord, VersionRecord } from '../db/records.ts'
import { AppError } from '../errors.ts'
import { withDeadline } from '../lib/deadline.ts'
import { requireScope } from './access.ts'
import { checkChange, type Judged } from './check-change.ts'
import { endUpload, messagesFor } from './end-upload.ts'
import type { UploadDeps } from './upload-deps.ts'
import type { imageChange } from './upload-intent.ts'
import type { UploadRecord } from '../db/records.ts'

type Said = Omit<z.infer<typeof imageChange>, 'state'>

/**
 * Changes what is said of an image, and lets a reviewer end a quarantine. Throws `wrong_state`, `scope_required`, `bad_request`,
 * `type_not_allowed`, `too_large`, `dimensions_not_allowed`, `too_many_frames` (of another kind), `moderation_rejected` (of what is to become public, or another kind).
 */
export async function changeImage(
  image: ImageRecord,
  change: z.infer<typeof imageChange>,
  principal: Principal,
  deps: UploadDeps,
  signal: AbortSignal,
): Promise<ImageRecord> {
  const { state, ...said } = change
  const isSaid = Object.values(said).some((value) => value !== undefined)
  // Everything that may be refused comes before anything is done.
  if (state !== undefined) requireScope(principal, 'images:review')
  if (isSaid) requireScope(principal, 'images:write')
  const judged = await checkChange(image, said, deps, signal)
  if (state !== undefined) await reviewImage(image, state, deps)
  if (isSaid) await describeAnew(image, { said, judged, triesLeft: 3 }, deps, signal)
  return present(image.id, deps)
}

async function present(id: string, deps: UploadDeps): Promise<ImageRecord> {
  const image = await deps.stores.images.find(id)
  if (!image || image.state === 'deleted') throw new AppError('not_found', { detail: 'There is no such image.' })
  return image
}

/** Versions that came while the others were judged are judged, too, before the change is made. */
async function describeAnew(
  image: ImageRecord,
  change: { readonly said: Said; readonly judged: Judged | undefined; readonly triesLeft: number },
  deps: UploadDeps,
  signal: AbortSignal,
): Promise<void> {
  const { said, judged, triesLeft } = change
  const defined = Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined))
  const message = { type: 'image.updated' as const, payload: { imageId: image.id, changed: Object.keys(defined) } }
  const updated = await deps.stores.images.update(image.id, defined, messagesFor(image, message, deps), judged)
  if (updated) return
  const now = await present(image.id, deps)
  if (triesLeft === 0) throw new AppError('wrong_state', { detail: 'The image is being changed; ask again.' })
  const judgedNow = await checkChange(now, said, deps, signal)
  await describeAnew(now, { said, judged: judgedNow, triesLeft: triesLeft - 1 }, deps, signal)
}

async function reviewImage(image: ImageRecord, state: 'ready' | 'rejected', deps: UploadDeps): Promise<void> {
  const type = state === 'ready' ? ('image.approved' as const) : ('image.rejected' as const)
  const message = { type, payload: { imageId: image.id } }
  const reviewed = await deps.stores.images.review(image.id, state, messagesFor(image, message, deps))
  if (!reviewed) {
    throw new AppError('wrong_state', { detail: `Only quarantined images are reviewed; this one is ${image.state}.` })
  }
  deps.count(`reviewed_${state}`)
  if (state === 'rejected') await dropRejected(image, deps)
}

/** What was thrown out does not lie about until the sweeper's grace is over. */
async function dropRejected(image: ImageRecord, deps: UploadDeps): Promise<void> {
  const rejected = (await deps.stores.images.versions(image.id)).filter((version) => version.state === 'rejected')
  const objects = await Promise.all(rejected.map(({ objectKey }) => deps.stores.objects.find(objectKey)))
  // Those that the owner has as another image, too, are still stored.
  const keys = objects.flatMap((object) => (object?.state === 'deleting' ? [object.key] : []))
  await dropObjects(image, keys, deps, AbortSignal.timeout(deps.config.targetTimeoutMs))
}

/** Whatever was rendered from it is rendered anew, and answered under another ETag; every tier forgets at once. */
export async function purgeImage(image: ImageRecord, deps: Pick<UploadDeps, 'stores' | 'count'>): Promise<void> {
  const purged = await deps.stores.images.bumpEpoch(image.id)
  if (!purged) throw new AppError('not_found', { detail: 'There is no such image.' })
  deps.count('purged')
}

/** Gone from the next request on, from every tier; the bytes go now or with the next sweep. */
export async function deleteImage(image: ImageRecord, deps: UploadDeps, signal: AbortSignal): Promise<void> {
  const message = { type: 'image.deleted' as const, payload: { imageId: image.id } }
  const removed = await deps.stores.images.remove(image.id, messagesFor(image, message, deps))
  if (!removed) return
  deps.count('image_deleted')
  await dropObjects(image, removed.objectKeys, deps, signal)
}

async function dropObjects(
  image: ImageRecord,
  keys: readonly string[],
  deps: UploadDeps,
  signal: AbortSignal,
): Promise<void> {
  for (const key of keys) {
    try {
      await deps.target.delete(key, withDeadline(signal, deps.config.targetTimeoutMs))
      await deps.stores.objects.forget(key)
    } catch (error) {
      deps.log('warn', 'object_left', { imageId: image.id, error: String(error) })
    }
  }
}

/**
 * Takes an upload back: before it is an image its bytes go, after that the image with it. Throws `wrong_state`, and `scope_required`
 * where an image would go.
 */
export async function deleteUpload(
  upload: UploadRecord,
  principal: Principal,
  deps: UploadDeps,
  signal: AbortSignal,
): Promise<void> {
  if (await endUpload(upload, ['pending', 'uploaded', 'processing', 'failed'], 'deleted', undefined, deps)) return
  // The job may have made an image of it since the caller looked.
  const { version } = (await deps.stores.uploads.find(upload.id)) ?? upload
  const image = version === undefined ? undefined : await deps.stores.images.find(upload.imageId)
  if (!image) return
  // Whoever uploaded it without credentials has nothing else to take it back by.
  if (principal.uploadId === undefined) requireScope(principal, 'images:write')
  // An image outlives the upload of one of its versions.
  if ((await deps.stores.images.versions(image.id)).length > 1) {
    throw new AppError('wrong_state', {
      detail: `It is a version of ${image.id}, which has others; delete the image to delete all.`,
    })
  }
  await deleteImage(image, deps, signal)
}

/** The newest version of an image that its owner may look at, also while it waits for review. */
export async function newestVersion(
  image: ImageRecord,
  deps: Pick<UploadDeps, 'stores'>,
): Promise<VersionRecord | undefined> {
  if (image.version !== undefined) return deps.stores.images.version(image.id, image.version)
  return (await deps.stores.images.versions(image.id)).toSorted((a, b) => b.version - a.version)[0]
}
