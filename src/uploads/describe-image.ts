import type { ImageRecord, UploadRecord, VersionRecord } from '../db/records.ts'
import type { UploadDeps } from './upload-deps.ts'

/** What an application needs to put the image into a page. Times are ISO 8601. */
export type ImageDocument = {
  readonly id: string
  readonly state: ImageRecord['state']
  readonly version: number | undefined
  readonly visibility: ImageRecord['visibility']
  readonly filename: string
  readonly kind: string | undefined
  readonly subject: string | undefined
  readonly metadata: Readonly<Record<string, string>>
  readonly url: string
  readonly createdAt: string
  readonly updatedAt: string
} & Partial<ReadyPart>

type ReadyPart = {
  readonly format: string
  readonly width: number
  readonly height: number
  readonly hasAlpha: boolean
  readonly frames: number
  readonly byteLength: number
  readonly thumbhash: string
  readonly dominantColor: string
  readonly srcset: string
  readonly sizes: string
  readonly html: string
  /** When the URLs of a private image end. */
  readonly urlExpiresAt?: string
}

// Near the imgix ladder, far enough apart that each step saves bytes.
const srcsetWidths = [256, 512, 828, 1200, 1680, 2400, 3200, 4096]
const negotiated = 'auto=format'

export function describeImage(
  image: ImageRecord,
  version: VersionRecord | undefined,
  deps: Pick<UploadDeps, 'urls' | 'config' | 'now'>,
): ImageDocument {
  const { id, state, visibility, filename, kind, subject, metadata, createdAtMs, updatedAtMs } = image
  const isServed = version !== undefined && state === 'ready'
  const expiresAtMs = deps.now() + deps.config.signedUrlSeconds * 1000
  return {
    ...{ id, state, version: version?.version, visibility, filename, kind, subject, metadata },
    url: isServed ? deps.urls.ofVersion(image, version, negotiated, expiresAtMs) : deps.urls.ofNewest(id),
    ...(isServed ? readyPart(image, version, expiresAtMs, deps) : {}),
    createdAt: new Date(createdAtMs).toISOString(),
    updatedAt: new Date(updatedAtMs).toISOString(),
  }
}

function readyPart(
  image: ImageRecord,
  version: VersionRecord,
  expiresAtMs: number,
  { urls }: Pick<UploadDeps, 'urls'>,
): ReadyPart {
  const { format, width, height, hasAlpha, frames, thumbhash, dominantColor } = version.facts
  const at = (params: string) => urls.ofVersion(image, version, params, expiresAtMs)
  const widths = [...srcsetWidths.filter((step) => step < width), Math.min(width, 8192)]
  const srcset = widths.map((step) => `${at(`${negotiated}&w=${step}`)} ${step}w`).join(', ')
  const sizes = `(min-width: ${width}px) ${width}px, 100vw`
  const middle = widths[Math.floor((widths.length - 1) / 2)] ?? width
  const src = at(`${negotiated}&w=${middle}`)
  return {
    ...{ format, width, height, hasAlpha, frames, byteLength: version.byteLength, thumbhash, dominantColor },
    ...{ srcset, sizes },
    html: `<img src="${escapeHtml(src)}" srcset="${escapeHtml(srcset)}" sizes="${sizes}" width="${width}" height="${height}" loading="lazy" decoding="async" alt="" style="background:${dominantColor}">`,
    ...(image.visibility === 'private' ? { urlExpiresAt: new Date(expiresAtMs).toISOString() } : {}),
  }
}

export type UploadDocument = {
  readonly id: string
  readonly state: UploadRecord['state']
  readonly filename: string
  readonly type: string
  readonly size: number | undefined
  readonly expiresAt: string
  readonly error?: { readonly code: string; readonly detail?: string }
  readonly image: ImageDocument | { readonly id: string; readonly url: string }
}

/** An upload as its owner sees it; the image is whole once it is ready. */
export async function describeUpload(
  upload: UploadRecord,
  deps: Pick<UploadDeps, 'urls' | 'config' | 'now' | 'stores'>,
): Promise<UploadDocument> {
  const { id, state, filename, contentType, byteLength, expiresAtMs, reason, imageId } = upload
  return {
    ...{ id, state, filename, type: contentType, size: byteLength },
    expiresAt: new Date(expiresAtMs).toISOString(),
    ...(reason && { error: { code: reason.code, ...(reason.detail === undefined ? {} : { detail: reason.detail }) } }),
    image: (await describeUploaded(upload, deps)) ?? { id: imageId, url: deps.urls.ofNewest(imageId) },
  }
}

async function describeUploaded(
  upload: UploadRecord,
  deps: Pick<UploadDeps, 'urls' | 'config' | 'now' | 'stores'>,
): Promise<ImageDocument | undefined> {
  if (upload.version === undefined) return undefined
  const image = await deps.stores.images.find(upload.imageId)
  const version = image && (await deps.stores.images.version(image.id, upload.version))
  return image && version && describeImage(image, version, deps)
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;')
}
