import type { Request, RequestHandler } from 'express'
import { requestIdOf } from '../request-id.ts'
import { callerOf } from './authenticate.ts'

export type ApiAnswered = {
  readonly requestId: string
  readonly method: string
  readonly path: string
  /** The pattern of the route, or `none`: ids and keys make no labels. */
  readonly route: string
  readonly status: number
  readonly seconds: number
  /** Who called; undefined where credentials were missing or wrong. */
  readonly caller: string | undefined
  /** The client went away before the answer was complete. */
  readonly aborted: boolean
}

/** Tells of every request of the API once it is over. */
export function recordApi(onAnswered: (answered: ApiAnswered) => void): RequestHandler {
  return (request, response, next) => {
    const startedMs = performance.now()
    const requestId = requestIdOf(request.headers['x-request-id'])
    // So that the error document, the answer and the log line name the same one.
    request.headers['x-request-id'] = requestId
    response.set('X-Request-Id', requestId)
    const { method, originalUrl } = request
    const path = originalUrl.split('?')[0] ?? '/'
    response.once('close', () => {
      const principal = callerOf(response)
      onAnswered({
        ...{ requestId, method, path },
        route: routeOf(request),
        status: response.statusCode,
        seconds: (performance.now() - startedMs) / 1000,
        caller: principal && `${principal.project}/${principal.name}`,
        aborted: !response.writableFinished,
      })
    })
    next()
  }
}

function routeOf(request: Request): string {
  const { route } = request as { route?: { path?: unknown } }
  return typeof route?.path === 'string' ? route.path : 'none'
}
