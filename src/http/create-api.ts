import { Router } from 'express'
import { createUploadTokens } from '../auth/upload-token.ts'
import { createAuthenticator, type AuthenticatorDeps } from '../auth/create-authenticator.ts'
import type { AuthConfig } from '../config/config.ts'
import type { Uploads } from '../uploads/create-uploads.ts'
import type { FetchOriginal } from '../uploads/import-upload.ts'
import { doorForUploads } from '../uploads/door-for-uploads.ts'
import type { BlobDoor } from '../uploads/targets/blob-door.ts'
import { blobsPath } from '../uploads/targets/disk-target.ts'
import { createBlobRoutes } from './blob-routes.ts'
import { createImageRoutes } from './image-routes.ts'
import { createMessageRoutes, type MessageRoutesDeps } from './message-routes.ts'
import { createApiGate } from './middleware/api-gate.ts'
import { recordApi, type ApiAnswered } from './middleware/record-api.ts'
import { createPurgeRoutes } from './purge-routes.ts'
import { bodyLimits } from './receive-body.ts'
import { createShareRoutes } from './share-routes.ts'
import { createUploadRoutes, type UploadRoutesDeps } from './upload-routes.ts'

// Streams of events end so that proxies need not end them; clients come back by themselves.
const maxStreamMs = 600_000
const authenticateTimeoutMs = 5_000
// What is left of a request's time for the answer itself.
const waitMarginSeconds = 5

/** `/v1/`: credentials and limits first, then the routes. */
export function createApi(deps: {
  readonly auth: AuthConfig
  readonly uploads: Uploads
  readonly secretOf: (purpose: string) => Uint8Array
  /** Of the disk target, which takes its bytes here. */
  readonly door: BlobDoor | undefined
  readonly fetchOriginal: FetchOriginal
  readonly fetchKeySet: AuthenticatorDeps['fetchKeySet']
  readonly deadJobs: MessageRoutesDeps['deadJobs']
  readonly wakeDeliverer: () => void
  readonly requestTimeoutMs: number
  readonly closing: AbortSignal
  readonly onAnswered: (answered: ApiAnswered) => void
  readonly onError: (error: unknown) => void
  readonly onOriginRefused: (origin: string) => void
}): readonly Router[] {
  const { auth, uploads, secretOf, door, fetchOriginal, requestTimeoutMs, closing, onAnswered, onError } = deps
  const { stores, config, now } = uploads.deps
  const hasProject = (name: string) => Object.hasOwn(config.projects, name)
  const uploadTokens = createUploadTokens({ secret: secretOf('upload-tokens'), hasProject, now })
  const authenticator = createAuthenticator(auth, {
    findByHash: (hash) => stores.apiKeys.findByHash(hash),
    touch: (id, nowMs) => stores.apiKeys.touch(id, nowMs),
    ...{ hasProject, onError, now, uploadTokens, fetchKeySet: deps.fetchKeySet },
  })
  const routes: UploadRoutesDeps = {
    uploads: uploads.deps,
    requestTimeoutMs,
    closing,
    maxWaitSeconds: Math.max(1, Math.floor(requestTimeoutMs / 1000) - waitMarginSeconds),
    maxStreamMs,
    tokenFor: ({ id, project, owner, expiresAtMs }) =>
      // Confirming and looking may take longer than uploading.
      uploadTokens.mint({ uploadId: id, project, owner, expiresAtMs: expiresAtMs + config.graceSeconds * 1000 }),
  }
  const gate = createApiGate({
    ...{ auth, authenticator, onOriginRefused: deps.onOriginRefused },
    secret: secretOf('anonymous-owners'),
    timeoutMs: authenticateTimeoutMs,
    uploads: config,
    openPaths: door ? [blobsPath] : [],
  })
  const record = Router()
  record.use('/v1', recordApi(onAnswered))
  return [
    record,
    gate,
    ...(door ? [createBlobRoutes({ door: doorForUploads(door, uploads.deps), limits: bodyLimits })] : []),
    createUploadRoutes(routes),
    createImageRoutes({ ...routes, fetchOriginal }),
    createPurgeRoutes(routes),
    createMessageRoutes({ ...deps, uploads: uploads.deps }),
    createShareRoutes({ ...routes, tokens: uploads.tokens }),
  ]
}
