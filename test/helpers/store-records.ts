import type { VersionFacts } from '../../src/db/records.ts'
import type { NewUpload, QuotaLimits, Reason, Stores } from '../../src/db/stores.ts'
import { newId } from '../../src/lib/new-id.ts'

export const owner = { project: 'shop', owner: 'user-1' }

export const unbounded: QuotaLimits = { bytes: undefined, objects: undefined, openUploads: undefined }

export const facts: VersionFacts = {
  format: 'jpeg',
  width: 640,
  height: 480,
  hasAlpha: false,
  frames: 1,
  exif: { make: 'Halftone', takenAt: '2024-05-01T10:00:00' },
  thumbhash: 'OQcSHQRnh3eHeIeAeHeI',
  dominantColor: '#884422',
  perceptualHash: '0123456789abcdef',
}

/** An upload of 100 bytes by `owner`, for a new image. */
export function newUpload(change: Partial<NewUpload> = {}): NewUpload {
  const id = newId('upl')
  return {
    ...owner,
    id,
    imageId: newId('img'),
    way: 'put',
    filename: 'photo.jpg',
    byteLength: 100,
    contentType: 'image/jpeg',
    sha256: undefined,
    visibility: 'private',
    kind: undefined,
    subject: undefined,
    metadata: {},
    stagingKey: `staging/${id}`,
    partBytes: undefined,
    reservedBytes: 100,
    expiresAtMs: 1_600_000,
    createdAtMs: 1_000_000,
    ...change,
  }
}

/** The whole way of an upload: created, moved, its object begun, finished. The bytes are the same unless said otherwise. */
export async function finishNew(
  stores: Stores,
  how: {
    readonly upload?: Partial<NewUpload>
    readonly state?: 'ready' | 'quarantined'
    readonly storedSha256?: string
    readonly objectKey?: string
    readonly reason?: Reason
  } = {},
) {
  const { state = 'ready', storedSha256 = 'same', objectKey = newId('obj'), reason } = how
  const { upload } = await stores.uploads.create(newUpload(how.upload), { quota: unbounded })
  await stores.uploads.move(upload.id, ['pending'], 'processing')
  const { project, owner: name } = upload
  const bytes = { sha256: 'uploaded', storedSha256, byteLength: 90 }
  const object = await stores.objects.begin({ project, owner: name, key: objectKey, ...bytes })
  const finished = await stores.uploads.finish(upload.id, {
    ...{ state, objectKey: object.key, byteLength: 90, sha256: 'uploaded', facts },
    ...(reason && { reason }),
    messages: (version) => [{ type: `image.${state}`, payload: { version } }],
  })
  if (!finished) throw new Error('the upload was not processing')
  return finished
}

export function uploadReady(stores: Stores, upload: Partial<NewUpload> = {}) {
  return finishNew(stores, { upload })
}
