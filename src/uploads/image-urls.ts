import type { ImageRecord, VersionRecord } from '../db/records.ts'
import { extensionOf, inputFormats } from '../transform/image/formats.ts'

/** Where images are served. Private ones get signed URLs that end. */
export interface ImageUrls {
  /** Of one version, which never changes; `params` is a query string without `?`. */
  ofVersion(image: ImageRecord, version: VersionRecord, params: string, expiresAtMs: number): string
  /** Follows the newest version, with a short life. */
  ofNewest(imageId: string): string
}

export function createImageUrls(deps: {
  /** Scheme and host as clients see them; known once the server listens. */
  readonly origin: () => string
  /** Signs a raw target natively. */
  readonly sign: (target: string, options: { readonly expiresAtSeconds: number }) => string
}): ImageUrls {
  return {
    ofVersion(image, version, params, expiresAtMs) {
      const path = versionPath(image, version)
      const target = params === '' ? path : `${path}?${params}`
      const isOpen = image.visibility === 'public'
      return `${deps.origin()}${isOpen ? target : deps.sign(target, { expiresAtSeconds: Math.floor(expiresAtMs / 1000) })}`
    },
    ofNewest: (imageId) => `${deps.origin()}/u/${imageId}`,
  }
}

export function versionPath(image: ImageRecord, version: VersionRecord): string {
  return `/u/${image.id}/${version.version}/${urlName(image.filename, version.facts.format)}`
}

/** A name for people: what is safe of the file's own, with the extension of what it really is. */
function urlName(filename: string, format: string): string {
  const stem = filename
    .replace(/\.[^.]*$/, '')
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 60)
  const known = inputFormats.find((one) => one === format)
  return `${stem === '' ? 'image' : stem}.${known === undefined ? 'bin' : extensionOf(known)}`
}
