import { Router, type Response } from 'express'

export type OperationsDeps = {
  /** Why the server should get no traffic now, one word each; empty when it is ready. */
  readonly notReadyBecause: () => readonly string[]
  readonly exposeMetrics: () => Promise<{ contentType: string; text: string }>
}

/** `/-/health` (the process answers) and `/-/ready` (it can serve pictures). */
export function createHealthRoutes(deps: OperationsDeps): Router {
  const router = Router()
  router.get('/-/health', (_request, response) => {
    uncached(response).json({ status: 'ok' })
  })
  router.get('/-/ready', (_request, response) => {
    const reasons = deps.notReadyBecause()
    uncached(response)
      .status(reasons.length === 0 ? 200 : 503)
      .json({ status: reasons.length === 0 ? 'ready' : 'not ready', reasons })
  })
  return router
}

export function createMetricsRoutes(deps: OperationsDeps): Router {
  const router = Router()
  router.get('/-/metrics', async (_request, response) => {
    const { contentType, text } = await deps.exposeMetrics()
    uncached(response).type(contentType).send(text)
  })
  return router
}

function uncached(response: Response): Response {
  return response.set('Cache-Control', 'no-store')
}
