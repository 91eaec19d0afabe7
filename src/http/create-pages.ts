import express, { type Express, type NextFunction, type Request, type Response, type Router } from 'express'
import type { DeliveryConfig } from '../config/config.ts'
import { problemAnswer } from '../delivery/problem-response.ts'
import { AppError, toAppError } from '../errors.ts'
import { requestIdOf } from './request-id.ts'
import { sendImage } from './send-image.ts'

/** The express application under `/-/` and `/v1/`: the given routes, then 404 and errors as problem documents. */
export function createPages(
  routes: readonly Router[],
  deps: { delivery: DeliveryConfig; onError: (error: AppError) => void },
): Express {
  const pages = express()
  pages.disable('x-powered-by')
  pages.set('etag', 'strong')
  for (const router of routes) pages.use(router)
  pages.use(() => {
    throw new AppError('not_found', { detail: 'There is no page at this path.' })
  })
  pages.use((thrown: unknown, request: Request, response: Response, _next: NextFunction) => {
    const error = readError(thrown)
    if (error.status >= 500) deps.onError(error)
    if (response.headersSent) return void response.destroy()
    const requestId = requestIdOf(request.headers['x-request-id'])
    const context = { requestId, instance: request.path, negotiated: false, isPrivate: true, delivery: deps.delivery }
    sendImage(response, problemAnswer(error, context), request.method)
  })
  return pages
}

/** Express and its middleware throw errors that carry an HTTP status; those below 500 are the client's doing. */
function readError(thrown: unknown): AppError {
  const isClientFault =
    thrown instanceof Error && 'status' in thrown && typeof thrown.status === 'number' && thrown.status < 500
  return isClientFault && !(thrown instanceof AppError)
    ? new AppError('bad_request', { cause: thrown })
    : toAppError(thrown)
}
