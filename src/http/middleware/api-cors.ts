import cors from 'cors'
import { Router, type RequestHandler } from 'express'
import { AppError } from '../../errors.ts'

/** What a page may send; bearer tokens are sent by its script, so cookies are never asked for. */
const allowedHeaders = [
  'Authorization',
  'Content-Type',
  'Idempotency-Key',
  'Prefer',
  'If-None-Match',
  'Last-Event-ID',
  'X-Amz-Checksum-Sha256',
  'X-Request-Id',
]

const exposedHeaders = [
  'ETag',
  'Location',
  'Preference-Applied',
  'RateLimit',
  'RateLimit-Limit',
  'RateLimit-Policy',
  'RateLimit-Remaining',
  'RateLimit-Reset',
  'Retry-After',
  'WWW-Authenticate',
  'X-Error',
  'X-Request-Id',
]

/** Chromium keeps a preflight no longer than this. */
const maxAgeSeconds = 7200

/** Told once each, and no more than so many: whoever likes can make origins up. */
const maxToldOrigins = 100

/**
 * Lets scripts of the given origins (`*`: of any) call the API; answers their preflights. Others are refused with the setting's name, as
 * their pages are told nothing by browsers.
 */
export function createApiCors(origins: readonly string[], onRefused: (origin: string) => void): Router {
  const origin = origins.includes('*') ? '*' : origins.length === 0 ? false : [...origins]
  const router = Router()
  router.use(refuseOthers(origins, onRefused))
  router.use(allowOrigin(origin))
  return router
}

function refuseOthers(origins: readonly string[], onRefused: (origin: string) => void): RequestHandler {
  const told = new Set<string>()
  return (request, _response, next) => {
    const { origin } = request.headers
    const isPreflight = request.method === 'OPTIONS' && request.headers['access-control-request-method'] !== undefined
    if (!isPreflight || origin === undefined || origins.includes('*') || origins.includes(origin)) return next()
    if (!told.has(origin) && told.size < maxToldOrigins) onRefused(origin)
    if (told.size < maxToldOrigins) told.add(origin)
    const shown = JSON.stringify(origin.slice(0, 200))
    throw new AppError('origin_refused', { detail: `HALFTONE_API_ORIGINS of the server does not list ${shown}.` })
  }
}

function allowOrigin(origin: '*' | false | string[]): RequestHandler {
  return cors({
    origin,
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders,
    exposedHeaders,
    maxAge: maxAgeSeconds,
    credentials: false,
    optionsSuccessStatus: 204,
  })
}
