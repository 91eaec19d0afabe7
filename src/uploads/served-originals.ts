import type { ImageStore } from '../db/stores.ts'
import type { ServedOriginal } from '../sources/upload-source.ts'
import { versionPath } from './image-urls.ts'

type Known = { readonly original: ServedOriginal | undefined }

/**
 * Images as the read path asks for them, on every request. What was read is believed exactly as long as no row of the database has
 * changed, in any process, so that a deleted image is gone with the next request.
 */
export function createServedOriginals(
  images: Pick<ImageStore, 'findServed' | 'changeMark'>,
  { maxEntries }: { readonly maxEntries: number },
): (imageId: string, version: number | undefined) => Promise<ServedOriginal | undefined> {
  const known = new Map<string, Known>()
  let mark = images.changeMark()
  return async (imageId, version) => {
    const now = images.changeMark()
    if (now !== mark) known.clear()
    mark = now
    const key = `${imageId}/${version ?? ''}`
    const remembered = known.get(key)
    if (remembered) return remembered.original
    const served = await images.findServed(imageId, version)
    const original = served && originalOf(served)
    // What was asked before a change and answered after it may be of either side.
    if (images.changeMark() !== now) return original
    if (known.size >= maxEntries) known.clear()
    known.set(key, { original })
    return original
  }
}

function originalOf({ image, version }: NonNullable<Awaited<ReturnType<ImageStore['findServed']>>>): ServedOriginal {
  return {
    visibility: image.visibility,
    version: version.version,
    filename: versionPath(image, version).split('/').at(-1) ?? 'image',
    state: `${version.objectKey}-${image.epoch}`,
    objectKey: version.objectKey,
    byteLength: version.byteLength,
    createdAtMs: version.createdAtMs,
  }
}
