import express, { type Express, type NextFunction, type Request, type Response, type Router } from 'express'
import type { DeliveryConfig } from '../config/config.ts'
import type { ImageAnswer } from '../delivery/image-answer.ts'
import { problemAnswer } from '../delivery/problem-response.ts'
import { AppError, toAppError } from '../errors.ts'
import { allowedMethods } from './allowed-methods.ts'
import { challenge } from './middleware/authenticate.ts'
import { requestIdOf } from './request-id.ts'
import { sendImage } from './send-image.ts'

/** The express application under `/-/` and `/v1/`: the given routes, then 404 and errors as problem documents. */
export function createPages(
  routes: readonly Router[],
  deps: {
    delivery: DeliveryConfig
    onError: (error: AppError) => void
    /** CIDR blocks whose X-Forwarded-For is believed; none when left out. */
    trustedProxies?: readonly string[]
  },
): Express {
  const pages = express()
  pages.disable('x-powered-by')
  pages.set('etag', 'strong')
  pages.set('trust proxy', [...(deps.trustedProxies ?? [])])
  for (const router of routes) pages.use(router)
  pages.use((request) => {
    const methods = allowedMethods(routes, request.path)
    if (methods.length === 0) throw new AppError('not_found', { detail: 'There is no page at this path.' })
    const allow = methods.join(', ')
    throw new AppError('method_not_allowed', {
      detail: `Expected ${allow}, got ${request.method}.`,
      details: { allow },
    })
  })
  pages.use(challenge)
  pages.use((thrown: unknown, request: Request, response: Response, _next: NextFunction) => {
    const error = readError(thrown)
    if (error.status >= 500) deps.onError(error)
    if (response.headersSent) return void response.destroy()
    const requestId = requestIdOf(request.headers['x-request-id'])
    const context = { requestId, instance: request.path, negotiated: false, isPrivate: true, delivery: deps.delivery }
    const answer = problemAnswer(error, context)
    sendImage(response, request.path.startsWith('/v1/') ? withoutCors(answer) : answer, request.method)
  })
  return pages
}

/** Who may read the answers of the API has been decided by its own CORS rule, not by that of pictures. */
function withoutCors(answer: ImageAnswer): ImageAnswer {
  return { ...answer, headers: answer.headers.filter(([name]) => name !== 'Access-Control-Allow-Origin') }
}

/** Express and its middleware throw errors that carry an HTTP status; those below 500 are the client's doing. */
function readError(thrown: unknown): AppError {
  const isClientFault =
    thrown instanceof Error && 'status' in thrown && typeof thrown.status === 'number' && thrown.status < 500
  return isClientFault && !(thrown instanceof AppError)
    ? new AppError('bad_request', { cause: thrown })
    : toAppError(thrown)
}
