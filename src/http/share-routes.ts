import { Router, type Request, type Response } from 'express'
import { AppError } from '../errors.ts'
import type { ImageTokens } from '../signing/share-token.ts'
import { findImage, requireScope } from '../uploads/access.ts'
import { describeShare, shareImage, shareIntent, signedUrlIntent, signImageUrl } from '../uploads/share-image.ts'
import { readBody } from '../uploads/read-body.ts'
import { principalOf } from './middleware/authenticate.ts'
import { pathValue, uncached } from './api-request.ts'
import { jsonBody } from './json-body.ts'
import type { UploadRoutesDeps } from './upload-routes.ts'

/** Ways to show an image to others: signed URLs that end by themselves, and shares that can be counted and taken back. */
export function createShareRoutes(routes: UploadRoutesDeps & { readonly tokens: ImageTokens }): Router {
  const { uploads, tokens } = routes
  const deps = { ...uploads, tokens }
  const router = Router()
  const own = (request: Request, response: Response) => {
    const principal = principalOf(response)
    requireScope(principal, 'images:share')
    return findImage(pathValue(request, 'id'), principal, uploads.stores)
  }

  router.post('/v1/images/:id/signed-url', jsonBody, async (request, response) => {
    const intent = readBody(signedUrlIntent, request.body)
    uncached(response).json(await signImageUrl(await own(request, response), intent, deps))
  })
  router.post('/v1/images/:id/shares', jsonBody, async (request, response) => {
    const intent = readBody(shareIntent, request.body)
    const share = await shareImage(await own(request, response), intent, principalOf(response).name, deps)
    uncached(response).status(201).json(share)
  })
  router.get('/v1/images/:id/shares', async (request, response) => {
    const { id } = await own(request, response)
    uncached(response).json({ shares: (await uploads.stores.shares.list(id)).map(describeShare) })
  })
  router.delete('/v1/images/:id/shares/:share', async (request, response) => {
    const { id } = await own(request, response)
    const isRevoked = await uploads.stores.shares.revoke(id, pathValue(request, 'share'), uploads.now())
    if (!isRevoked) throw new AppError('not_found', { detail: 'There is no such share, or it is revoked already.' })
    uncached(response).status(204).end()
  })
  return router
}
