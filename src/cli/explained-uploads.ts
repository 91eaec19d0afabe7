import { existsSync } from 'node:fs'
import type { Config } from '../config/config.ts'
import { openStores } from '../db/open-stores.ts'
import type { ExplainedUploads } from '../delivery/create-explainer.ts'
import { AppError } from '../errors.ts'
import { createUploadSource } from '../sources/upload-source.ts'
import { openServerSecrets, urlKeys } from '../uploads/create-uploads.ts'
import { createServedOriginals } from '../uploads/served-originals.ts'
import { createUploadTarget } from '../uploads/targets/create-upload-target.ts'

const name = 'uploads'
const pathPrefix = '/u'

/** Uploaded images as `explain` looks at them; undefined for a target that is none of theirs, or where nothing was ever uploaded. */
export async function openExplainedUploads(config: Config, target: string): Promise<ExplainedUploads | undefined> {
  const { uploads, database } = config
  if (!uploads || !target.startsWith(`${pathPrefix}/`)) return undefined
  if ('file' in database && !existsSync(database.file)) return undefined
  const stores = await openStores(database)
  const { target: store } = createUploadTarget(uploads.target, {
    // Nothing is signed here.
    ...{ publicOrigin: () => '', secret: '', now: Date.now },
    timeoutMs: uploads.targetTimeoutMs,
  })
  const maxBytes = Math.max(...Object.values(uploads.projects).map((project) => project.maxBytes))
  const source = createUploadSource({
    name,
    find: createServedOriginals(stores.images, { maxEntries: 1 }),
    changeMark: () => stores.images.changeMark(),
    readObject: (key, maxBytes, signal) => store.read(key, { maxBytes }, signal),
    openToken: () => {
      const detail = 'Opening a token would use it up. Explain the URL without its token.'
      return Promise.reject(new AppError('bad_request', { detail }))
    },
  })
  return {
    source,
    config: {
      ...{ kind: 'uploads', name, host: undefined, pathPrefix, visibility: 'private', signed: 'private' },
      ...{ strict: false, defaultParams: '', variants: { kind: 'exact' }, immutable: false, maxBytes },
      ...{ maxAgeSeconds: 0, staleWhileRevalidateSeconds: 0 },
    },
    signing: urlKeys(config, await openServerSecrets(stores)),
    async close() {
      await store.close()
      await stores.close()
    },
  }
}
