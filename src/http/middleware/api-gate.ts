import { Router } from 'express'
import type { AuthConfig, UploadsConfig } from '../../config/config.ts'
import { createApiCors } from './api-cors.ts'
import { createAuthenticate, type AuthenticateDeps } from './authenticate.ts'
import { createFailureLimiter, createRateLimits } from './rate-limit.ts'

export type ApiGateDeps = Pick<AuthenticateDeps, 'authenticator' | 'secret' | 'timeoutMs'> & {
  readonly auth: AuthConfig
  readonly uploads: Pick<UploadsConfig, 'apiOrigins' | 'projects'>
  /** Paths below /v1/ whose URL is the permission: no credentials are asked for there. */
  readonly openPaths: readonly string[]
  /** A page of an origin that is not listed wanted to call. */
  readonly onOriginRefused: (origin: string) => void
}

/** Where uploads begin. */
const beginnings = ['/v1/uploads', '/v1/images']

/** What stands before every route of the API: CORS, credentials, limits. */
export function createApiGate(deps: ApiGateDeps): Router {
  const { auth, uploads } = deps
  const authenticate = createAuthenticate({
    ...deps,
    allowsAnonymous: uploads.projects['default']?.publicUploads === true,
    failures: createFailureLimiter(auth),
  })
  const limits = createRateLimits({ auth, projects: uploads.projects })
  const gate = Router()
  gate.use('/v1', createApiCors(uploads.apiOrigins, deps.onOriginRefused))
  gate.use('/v1', (request, _response, next) => {
    // `router` leaves the gate: the routes behind it are reached without the steps below.
    const asked = `${request.baseUrl}${request.path}/`
    next(deps.openPaths.some((path) => asked.startsWith(`${path}/`)) ? 'router' : undefined)
  })
  gate.post(beginnings, authenticate.orAnonymous, limits.requests, limits.uploads, (_request, _response, next) => {
    next('router')
  })
  gate.use('/v1', authenticate.required, limits.requests)
  return gate
}
