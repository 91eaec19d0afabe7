import { Router, type Response } from 'express'
import { z } from 'zod'
import { AppError } from '../errors.ts'
import { findImage, requireScope } from '../uploads/access.ts'
import { purgeImage } from '../uploads/change-image.ts'
import { readBody } from '../uploads/read-body.ts'
import { pathValue, uncached } from './api-request.ts'
import { jsonBody } from './json-body.ts'
import { principalOf } from './middleware/authenticate.ts'
import type { UploadRoutesDeps } from './upload-routes.ts'

const text = z.string().min(1).max(8000)
const purgeIntent = z
  .strictObject({ image: text.optional(), url: text.optional(), tag: text.optional(), source: text.optional() })
  .refine((intent) => Object.values(intent).length === 1, 'one of image, url, tag, source')

/** What makes every tier forget what it has of something. */
export function createPurgeRoutes({ uploads }: Pick<UploadRoutesDeps, 'uploads'>): Router {
  const router = Router()
  const purge = async (response: Response, id: string) => {
    const principal = principalOf(response)
    requireScope(principal, 'images:purge')
    await purgeImage(await findImage(id, principal, uploads.stores), uploads)
    uncached(response).status(204).end()
  }

  router.post('/v1/images/:id/purge', (request, response) => purge(response, pathValue(request, 'id')))
  router.post('/v1/purge', jsonBody, async (request, response) => {
    requireScope(principalOf(response), 'images:purge')
    const { image, ...others } = readBody(purgeIntent, request.body)
    if (image === undefined) {
      const [name] = Object.keys(others)
      throw new AppError('bad_request', { detail: `"${name}": only purges by "image" are there yet.` })
    }
    await purge(response, image)
  })
  return router
}
