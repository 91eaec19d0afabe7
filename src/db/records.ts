/** What the database remembers of uploads and images. Times are Unix ms, ids are `<kind>_<26 base32 letters>`. */

export type UploadState =
  'pending' | 'uploaded' | 'processing' | 'ready' | 'rejected' | 'quarantined' | 'failed' | 'expired' | 'deleted'

export type ImageState = 'pending' | 'ready' | 'rejected' | 'quarantined' | 'deleted'

export type Visibility = 'public' | 'private'

/** Whose an image is: nothing of one owner is ever told to another. */
export type Owner = { readonly project: string; readonly owner: string }

/** How the bytes come: by a presigned request, in signed parts, through this server, or fetched by it. */
export type UploadWay = 'put' | 'post' | 'parts' | 'direct' | 'import'

export type UploadRecord = Owner & {
  readonly id: string
  readonly imageId: string
  readonly state: UploadState
  readonly way: UploadWay
  readonly filename: string
  /** As declared; undefined where the way in does not know it beforehand. */
  readonly byteLength: number | undefined
  readonly contentType: string
  /** Lower-case hex. */
  readonly sha256: string | undefined
  readonly visibility: Visibility
  readonly kind: string | undefined
  readonly subject: string | undefined
  readonly metadata: Readonly<Record<string, string>>
  readonly stagingKey: string
  /** The store's id of an upload in parts. */
  readonly multipartId: string | undefined
  /** How an upload in parts was cut when it was allowed; undefined for other ways. */
  readonly partBytes: number | undefined
  /** What the quota holds back for it. */
  readonly reservedBytes: number
  /** Why it was rejected or failed: a code of the error table and a public sentence. */
  readonly reason: { readonly code: string; readonly detail: string | undefined } | undefined
  /** The version it became. */
  readonly version: number | undefined
  readonly expiresAtMs: number
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

export type UploadEvent = {
  readonly atMs: number
  readonly from: UploadState | undefined
  readonly to: UploadState
  readonly fact: Readonly<Record<string, string | number | boolean>>
}

export type ImageRecord = Owner & {
  readonly id: string
  readonly state: ImageState
  readonly visibility: Visibility
  readonly kind: string | undefined
  readonly subject: string | undefined
  readonly filename: string
  readonly metadata: Readonly<Record<string, string>>
  /** The newest version that is served; undefined before the first is ready. */
  readonly version: number | undefined
  /** Bumped by every purge: part of the cache key. */
  readonly epoch: number
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

/** One version of an image; immutable once written. */
export type VersionRecord = {
  readonly imageId: string
  readonly version: number
  readonly uploadId: string
  readonly state: 'ready' | 'quarantined' | 'rejected' | 'deleted'
  /** Where the served bytes are. */
  readonly objectKey: string
  /** Of the served bytes, from which all metadata has been taken. */
  readonly byteLength: number
  /** Of the bytes as they were uploaded, lower-case hex. */
  readonly sha256: string
  readonly facts: VersionFacts
  readonly createdAtMs: number
}

/** What is told of a picture; structurally the `ImageFacts` of the renderers. */
export type VersionFacts = {
  readonly format: string
  readonly width: number
  readonly height: number
  readonly hasAlpha: boolean
  readonly frames: number
  readonly exif: { readonly make?: string; readonly model?: string; readonly lens?: string; readonly takenAt?: string }
  readonly thumbhash: string
  readonly dominantColor: string
  readonly perceptualHash: string
}

/** Stored bytes. The same bytes of one owner are one object, however many versions refer to it. */
export type ObjectRecord = Owner & {
  readonly key: string
  readonly sha256: string
  /** Hex SHA-256 of what is stored, after metadata was taken. */
  readonly storedSha256: string
  readonly byteLength: number
  /** `writing` until the bytes are safe. */
  readonly state: 'writing' | 'stored' | 'deleting'
  readonly createdAtMs: number
}

export type ShareRecord = {
  readonly id: string
  readonly imageId: string
  readonly createdBy: string
  readonly expiresAtMs: number
  readonly maxUses: number | undefined
  readonly uses: number
  /** The one transform it opens, as a query string; undefined opens any. */
  readonly params: string | undefined
  readonly revokedAtMs: number | undefined
  readonly createdAtMs: number
}

export type ApiKeyRecord = {
  readonly id: string
  readonly name: string
  readonly project: string
  readonly scopes: readonly string[]
  readonly createdAtMs: number
  readonly lastUsedAtMs: number | undefined
  readonly revokedAtMs: number | undefined
}

/** What an owner holds; `openUploads` and `reservedBytes` are of uploads that are not settled yet. */
export type Usage = {
  readonly storedBytes: number
  readonly reservedBytes: number
  /** Stored once each, however many images show the same bytes. */
  readonly objects: number
  /** With a version that is served or waits for review; those yet to come are open uploads. */
  readonly images: number
  readonly openUploads: number
}

/** A message that has to be delivered, written in the transaction of what it tells. */
export type OutboxRecord = {
  readonly id: string
  readonly project: string
  readonly type: string
  readonly payload: string
  readonly state: 'waiting' | 'delivered' | 'dead'
  readonly attempts: number
  readonly nextAttemptAtMs: number
  readonly lastError: string | undefined
  readonly createdAtMs: number
}

/** A webhook that nothing is sent to; `endpoint` names the URL and secret that it had. */
export type DisabledWebhook = {
  readonly project: string
  readonly endpoint: string
  readonly reason: string
  readonly atMs: number
}
