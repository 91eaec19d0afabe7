import { Router, type Request, type Response } from 'express'
import type { Principal, Scope } from '../auth/authenticator.ts'
import type { UploadRecord } from '../db/records.ts'
import { AppError } from '../errors.ts'
import { findImage, mayDo, requireScope } from '../uploads/access.ts'
import { changeImage, deleteImage, newestVersion } from '../uploads/change-image.ts'
import { describeImage } from '../uploads/describe-image.ts'
import { importUpload, type FetchOriginal } from '../uploads/import-upload.ts'
import { receiveUpload } from '../uploads/receive-upload.ts'
import type { UploadDeps } from '../uploads/upload-deps.ts'
import { readBody } from '../uploads/read-body.ts'
import { directFields, imageChange, importIntent } from '../uploads/upload-intent.ts'
import { assertQuery, idempotencyKeyOf, pathValue, queryNumber, queryValue, signalOf, uncached } from './api-request.ts'
import { jsonBody, jsonBodyOr } from './json-body.ts'
import { bodyLimits, receiveBody } from './receive-body.ts'
import { principalOf } from './middleware/authenticate.ts'
import { readUploadForm } from './upload-form.ts'
import { sendConfirmed, type UploadRoutesDeps } from './upload-routes.ts'

export type ImageRoutesDeps = UploadRoutesDeps & {
  /** Fetches by the guarded way to the network. */
  readonly fetchOriginal: FetchOriginal
}

const jsonOrForm = jsonBodyOr('multipart/form-data with the picture in the field "file"')
const listParams = ['limit', 'cursor', 'kind', 'subject', 'state', 'owner']
const states = ['pending', 'ready', 'quarantined', 'rejected'] as const

/** `/v1/images`: the small-app way in, and what may be done with an image once it is there. */
export function createImageRoutes(deps: ImageRoutesDeps): Router {
  const { uploads } = deps
  const router = Router()
  const own = (request: Request, response: Response, scope: Scope) => {
    const principal = principalOf(response)
    requireScope(principal, scope)
    return findImage(pathValue(request, 'id'), principal, uploads.stores)
  }
  const signal = (response: Response) => signalOf(response, deps.requestTimeoutMs)

  const answerUpload = async (request: Request, response: Response, upload: UploadRecord) => {
    response.location(`/v1/uploads/${upload.id}`)
    await sendConfirmed(request, response, upload, deps)
  }
  router.post('/v1/images', async (request, response, next) => {
    if (!request.is('multipart/form-data')) return next()
    const upload = await receiveFile(request, response, deps)
    // Undefined: whoever sent the file has gone.
    if (upload) await answerUpload(request, response, upload)
  })
  router.post('/v1/images', jsonOrForm, async (request, response) => {
    const intent = readBody(importIntent, request.body)
    const { fetchOriginal } = deps
    const asked = { principal: principalOf(response), idempotencyKey: idempotencyKeyOf(request) }
    const upload = await importUpload(intent, asked, fetchOriginal, uploads, signal(response))
    await answerUpload(request, response, upload)
  })
  router.get('/v1/images', async (request, response) => {
    uncached(response).json(await listImages(request, principalOf(response), uploads))
  })
  router.get('/v1/images/:id', async (request, response) => {
    const image = await own(request, response, 'images:read')
    uncached(response).json(describeImage(image, await newestVersion(image, uploads), uploads))
  })
  router.get('/v1/images/:id/metadata', async (request, response) => {
    const image = await own(request, response, 'images:read')
    const version = await newestVersion(image, uploads)
    if (!version)
      throw new AppError('wrong_state', { detail: `Nothing is known of the picture yet; it is ${image.state}.` })
    const { facts, sha256, byteLength } = version
    uncached(response).json({
      id: image.id,
      version: version.version,
      ...facts,
      sha256,
      byteLength,
      metadata: image.metadata,
    })
  })
  router.patch('/v1/images/:id', jsonBody, async (request, response) => {
    const change = readBody(imageChange, request.body)
    const found = await own(request, response, change.state === undefined ? 'images:write' : 'images:review')
    const image = await changeImage(found, change, principalOf(response), uploads, signal(response))
    uncached(response).json(describeImage(image, await newestVersion(image, uploads), uploads))
  })
  router.delete('/v1/images/:id', async (request, response) => {
    const image = await own(request, response, 'images:write')
    await deleteImage(image, uploads, signal(response))
    uncached(response).status(204).end()
  })
  router.get('/v1/usage', async (_request, response) => {
    const principal = principalOf(response)
    requireScope(principal, 'images:read')
    const { project, owner } = principal
    uncached(response).json({ project, owner, ...(await uploads.stores.uploads.usage({ project, owner })) })
  })
  return router
}

/** The file of a form, streamed to the store; fields come before it. */
function receiveFile(
  request: Request,
  response: Response,
  { uploads }: ImageRoutesDeps,
): Promise<UploadRecord | undefined> {
  const principal = principalOf(response)
  requireScope(principal, 'uploads:write')
  const idempotencyKey = idempotencyKeyOf(request)
  return receiveBody(request, response, bodyLimits, (body, signal) =>
    readUploadForm(request.headers, body, signal, (fields, bytes, ended, { filename, contentType }) => {
      const said = readBody(directFields, formFields(fields))
      return receiveUpload(
        { filename, contentType, bytes },
        { fields: said, principal, idempotencyKey },
        uploads,
        ended,
      )
    }),
  )
}

/** Fields of a form are text; `metadata` is JSON in one of them, or `metadata[name]` in several. */
function formFields(fields: ReadonlyMap<string, string>): Record<string, unknown> {
  const read: Record<string, unknown> = {}
  const metadata: Record<string, string> = {}
  for (const [name, value] of fields) {
    const [, entry] = /^metadata\[([^\]]+)\]$/.exec(name) ?? []
    if (entry !== undefined) metadata[entry] = value
    else read[name] = name === 'metadata' ? parseJson(value) : value
  }
  return Object.keys(metadata).length === 0 ? read : { ...read, metadata }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

async function listImages(request: Request, principal: Principal, uploads: UploadDeps) {
  requireScope(principal, 'images:read')
  assertQuery(request, listParams)
  const asked = queryValue(request, 'state') ?? 'ready'
  const state = states.find((one) => one === asked)
  if (!state)
    throw new AppError('bad_request', {
      detail: `"state": expected one of ${states.join(', ')}, got ${JSON.stringify(asked).slice(0, 40)}.`,
    })
  const [kind, subject, cursor] = ['kind', 'subject', 'cursor'].map((name) => queryValue(request, name))
  const page = await uploads.stores.images.list({
    project: principal.project,
    // Those who may see every owner's images may ask for one owner's.
    ...(mayDo(principal, 'owners:any') ? optional('owner', queryValue(request, 'owner')) : { owner: principal.owner }),
    states: [state],
    ...optional('kind', kind),
    ...optional('subject', subject),
    ...optional('cursor', cursor),
    limit: queryNumber(request, 'limit', { min: 1, max: 100, default: 20 }),
  })
  const images = await Promise.all(
    page.images.map(async (image) => describeImage(image, await newestVersion(image, uploads), uploads)),
  )
  return { images, cursor: page.cursor ?? null }
}

function optional<Name extends string>(name: Name, value: string | undefined): { [key in Name]?: string } {
  return value === undefined ? {} : ({ [name]: value } as { [key in Name]: string })
}
