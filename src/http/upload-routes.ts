import express, { Router, type Request, type Response } from 'express'
import { z } from 'zod'
import type { UploadRecord } from '../db/records.ts'
import { findUpload, requireScope } from '../uploads/access.ts'
import { deleteUpload } from '../uploads/change-image.ts'
import { confirmUpload } from '../uploads/confirm-upload.ts'
import { describeUpload } from '../uploads/describe-image.ts'
import { awaitUpload, followUpload } from '../uploads/get-upload.ts'
import { presignUpload, signParts } from '../uploads/presign-upload.ts'
import type { UploadDeps } from '../uploads/upload-deps.ts'
import { readBody, uploadIntent } from '../uploads/upload-intent.ts'
import { isSettled } from '../uploads/upload-state.ts'
import { idempotencyKeyOf, pathValue, preferredWait, signalOf, uncached } from './api-request.ts'
import { principalOf } from './middleware/authenticate.ts'
import { sendEvents, type ServerSentEvent } from './event-stream.ts'

export type UploadRoutesDeps = {
  readonly uploads: UploadDeps
  readonly requestTimeoutMs: number
  /** Longest `Prefer: wait`, in seconds; below the time of a request. */
  readonly maxWaitSeconds: number
  /** How long a stream of events may last; clients connect again by themselves. */
  readonly maxStreamMs: number
  /** A token that opens this one upload, for callers without credentials. */
  readonly tokenFor: (upload: UploadRecord) => Promise<string>
}

const maxBodyBytes = '64kb'
const partNumbers = z.strictObject({ numbers: z.array(z.int().min(1).max(10_000)).min(1).max(100) })

/** `/v1/uploads`: permission, confirmation, progress. */
export function createUploadRoutes(deps: UploadRoutesDeps): Router {
  const { uploads } = deps
  const router = Router()
  const json = express.json({ limit: maxBodyBytes, strict: true })
  const own = (request: Request, response: Response) =>
    findUpload(pathValue(request, 'id'), principalOf(response), uploads.stores)

  router.post('/v1/uploads', json, async (request, response) => {
    const signal = signalOf(response, deps.requestTimeoutMs)
    const principal = principalOf(response)
    const asked = { principal, idempotencyKey: idempotencyKeyOf(request) }
    const { upload, permission } = await presignUpload(readBody(uploadIntent, request.body), asked, uploads, signal)
    const document = await describeUpload(upload, uploads)
    const token = principal.kind === 'anonymous' ? { token: await deps.tokenFor(upload) } : {}
    uncached(response)
      .status(201)
      .location(`/v1/uploads/${upload.id}`)
      .json({ ...document, ...token, ...(permission && { upload: permission }) })
  })
  router.get('/v1/uploads/:id', async (request, response) => {
    const upload = await own(request, response)
    await sendSettled(request, response, upload, 200, deps)
  })
  router.get('/v1/uploads/:id/events', async (request, response) => {
    const upload = await own(request, response)
    const signal = signalOf(response, deps.maxStreamMs)
    await sendEvents(response, eventsOf(upload, uploads, signal))
  })
  router.post('/v1/uploads/:id/parts', json, async (request, response) => {
    const upload = await own(request, response)
    requireScope(principalOf(response), 'uploads:write')
    const { numbers } = readBody(partNumbers, request.body)
    const parts = await signParts(upload, numbers, uploads, signalOf(response, deps.requestTimeoutMs))
    uncached(response).json({ parts })
  })
  router.post('/v1/uploads/:id/confirm', async (request, response) => {
    const upload = await own(request, response)
    requireScope(principalOf(response), 'uploads:write')
    const confirmed = await confirmUpload(upload, uploads, signalOf(response, deps.requestTimeoutMs))
    await sendSettled(request, response, confirmed, 202, deps)
  })
  router.delete('/v1/uploads/:id', async (request, response) => {
    const upload = await own(request, response)
    requireScope(principalOf(response), 'uploads:write')
    await deleteUpload(upload, uploads, signalOf(response, deps.requestTimeoutMs))
    uncached(response).status(204).end()
  })
  return router
}

/** The upload, after waiting for its end where the caller prefers to; `statusBefore` while it is still at work. */
export async function sendSettled(
  request: Request,
  response: Response,
  upload: UploadRecord,
  statusBefore: number,
  deps: UploadRoutesDeps,
): Promise<void> {
  const waitSeconds = preferredWait(request, deps.maxWaitSeconds)
  const signal = signalOf(response, deps.requestTimeoutMs)
  const latest = waitSeconds === 0 ? upload : await awaitUpload(upload, waitSeconds * 1000, deps.uploads, signal)
  if (waitSeconds > 0) response.set('Preference-Applied', `wait=${waitSeconds}`)
  const document = await describeUpload(latest, deps.uploads)
  uncached(response)
    .status(isSettled(latest.state) ? 200 : statusBefore)
    .json(document)
}

async function* eventsOf(upload: UploadRecord, deps: UploadDeps, signal: AbortSignal): AsyncGenerator<ServerSentEvent> {
  for await (const latest of followUpload(upload, deps, signal)) {
    yield { id: `${latest.updatedAtMs}`, event: latest.state, data: await describeUpload(latest, deps) }
  }
}
