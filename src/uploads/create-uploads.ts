import { createHash, hkdfSync, randomBytes } from 'node:crypto'
import type { Config, UploadsConfig, UploadSourceConfig } from '../config/config.ts'
import type { Stores } from '../db/stores.ts'
import type { JobQueue } from '../jobs/job-queue.ts'
import { createImageTokens, type ImageTokens } from '../signing/share-token.ts'
import type { Source } from '../sources/source.ts'
import { createUploadSource } from '../sources/upload-source.ts'
import { processKind } from './confirm-upload.ts'
import { createImageUrls } from './image-urls.ts'
import { openToken } from './open-token.ts'
import { processUpload } from './process-upload.ts'
import { createServedOriginals } from './served-originals.ts'
import { startSweeper } from './start-sweeper.ts'
import type { UploadTarget } from './targets/upload-target.ts'
import { createUploadChanges } from './upload-changes.ts'
import type { UploadDeps } from './upload-deps.ts'

/** The write path, wired. */
export type Uploads = {
  readonly deps: UploadDeps
  readonly tokens: ImageTokens
  /** Uploaded images as the read path sees them, below `/u/`. */
  readonly source: { readonly source: Source; readonly config: UploadSourceConfig }
  /** Begins to process and to sweep. */
  start(): void
  /** Ends what runs by itself; requests are still answered. */
  drain(): Promise<void>
  /** After that, what both stand on. */
  close(): Promise<void>
}

/** Of how many images, by version, is remembered what they are while nothing changes. */
const maxServedEntries = 20_000

export function createUploads(
  config: UploadsConfig,
  parts: Pick<UploadDeps, 'examiner' | 'moderate' | 'log' | 'count' | 'maxFrames'> & {
    readonly stores: Stores
    readonly queue: JobQueue
    readonly target: UploadTarget
    readonly secrets: ServerSecrets
    readonly origin: () => string
    readonly sign: (target: string, options: { readonly expiresAtSeconds: number }) => string
    readonly policy: Pick<UploadSourceConfig, 'variants' | 'staleWhileRevalidateSeconds' | 'maxBytes'>
    readonly now: () => number
  },
): Uploads {
  const { stores, queue, target, secrets, origin, sign, policy, now } = parts
  const tokens = createImageTokens(secrets.of('image-tokens'), now)
  const deps: UploadDeps = { ...parts, config, urls: createImageUrls({ origin, sign }), changes: createUploadChanges() }
  const sweeper = startSweeper(deps)
  return {
    deps,
    tokens,
    source: {
      source: createUploadSource({
        name: uploadsName,
        find: createServedOriginals(stores.images, { maxEntries: maxServedEntries }),
        changeMark: () => stores.images.changeMark(),
        readObject: (key, maxBytes, signal) => target.read(key, { maxBytes }, signal),
        openToken: (token, asked) => openToken(token, asked, { tokens, shares: stores.shares, now }),
      }),
      config: sourceConfig(policy),
    },
    start() {
      queue.work({ [processKind]: (job, signal) => processUpload(job, deps, signal) })
      sweeper.start()
    },
    drain: () => allOf([sweeper.close(), queue.close()]),
    close: () => allOf([target.close(), stores.close()]),
  }
}

/** One that fails is told when all have ended. */
async function allOf(parts: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(parts)
  await Promise.all(parts)
}

const uploadsName = 'uploads'
// A new version, another visibility: seen by everybody within a minute, and by those who ask here at once.
const newestMaxAgeSeconds = 60

function sourceConfig(
  policy: Pick<UploadSourceConfig, 'variants' | 'staleWhileRevalidateSeconds' | 'maxBytes'>,
): UploadSourceConfig {
  return {
    ...policy,
    kind: 'uploads',
    name: uploadsName,
    host: undefined,
    pathPrefix: '/u',
    visibility: 'private',
    signed: 'private',
    strict: false,
    defaultParams: '',
    immutable: false,
    maxAgeSeconds: newestMaxAgeSeconds,
  }
}

/** The server's own secret, and what is made of it: one for each purpose, so that none can stand in for another. */
export type ServerSecrets = { of(purpose: string): Uint8Array }

/** Kept in the database, so that every process that shares it signs and verifies alike. */
export async function openServerSecrets(stores: Pick<Stores, 'secrets'>): Promise<ServerSecrets> {
  const root = await stores.secrets.getOrCreate('server', randomBytes(32).toString('base64url'))
  return { of: (purpose) => new Uint8Array(hkdfSync('sha256', root, 'halftone', purpose, 32)) }
}

/** Keys that sign URLs: the configured ones, or one of the server's own, as private images could not be shown without. */
export function urlKeys(config: Pick<Config, 'signing'>, secrets: ServerSecrets): Config['signing'] {
  if (config.signing.keys.length > 0) return config.signing
  const secret = Buffer.from(secrets.of('url-signing')).toString('hex')
  const id = `own-${createHash('sha256').update(secret).digest('hex').slice(0, 6)}`
  return { ...config.signing, keys: [{ id, secret }] }
}
