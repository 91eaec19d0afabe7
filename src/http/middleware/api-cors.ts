import cors from 'cors'
import type { RequestHandler } from 'express'

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

/** Lets scripts of the given origins (`*`: of any) call the API; answers their preflights. */
export function createApiCors(origins: readonly string[]): RequestHandler {
  const origin = origins.includes('*') ? '*' : origins.length === 0 ? false : [...origins]
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
