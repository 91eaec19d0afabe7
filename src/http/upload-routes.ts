import { Router, type Request, type Response } from 'express'
import { z } from 'zod'
import type { UploadRecord } from '../db/records.ts'
import { findUpload, requireScope } from '../uploads/access.ts'
import { deleteUpload } from '../uploads/change-image.ts'
import { confirmUpload, reasonOf } from '../uploads/confirm-upload.ts'
import { describeUpload } from '../uploads/describe-image.ts'
import { awaitUpload, followUpload } from '../uploads/get-upload.ts'
import { presignUpload, signParts } from '../uploads/presign-upload.ts'
import type { UploadDeps } from '../uploads/upload-deps.ts'
import { readBody } from '../uploads/read-body.ts'
import { uploadIntent } from '../uploads/upload-intent.ts'
import { isSettled } from '../uploads/upload-state.ts'
import { idempotencyKeyOf, pathValue, preferredWait, signalOf, uncached } from './api-request.ts'
import { principalOf } from './middleware/authenticate.ts'
import { jsonBody } from './json-body.ts'
import { sendEvents, type ServerSentEvent } from './event-stream.ts'

export type UploadRoutesDeps = {
  readonly uploads: UploadDeps
  readonly requestTimeoutMs: number
  /** Longest `Prefer: wait`, in seconds; below the time of a request. */
  readonly maxWaitSeconds: number
  /** How long a stream of events may last; clients connect again by themselves. */
  readonly maxStreamMs: number
  /** Fires when the server shuts down: who waits is answered, who follows comes back to another. */
  readonly closing: AbortSignal
  /** A token that opens this one upload, for callers without credentials. */
  readonly tokenFor: (upload: UploadRecord) => Promise<string>
}

const partNumbers = z.strictObject({ numbers: z.array(z.int().min(1).max(10_000)).min(1).max(100) })

/** `/v1/uploads`: permission, confirmation, progress. */
export function createUploadRoutes(deps: UploadRoutesDeps): Router {
  const { uploads } = deps
  const router = Router()
  const own = (request: Request, response: Response) => {
    const principal = principalOf(response)
    requireScope(principal, 'uploads:write')
    return findUpload(pathValue(request, 'id'), principal, uploads.stores)
  }

  router.post('/v1/uploads', jsonBody, async (request, response) => {
    const signal = signalOf(response, deps.requestTimeoutMs)
    const principal = principalOf(response)
    const asked = { principal, idempotencyKey: idempotencyKeyOf(request) }
    const { upload, permission } = await presignUpload(readBody(uploadIntent, request.body), asked, uploads, signal)
    const document = await describeUpload(upload, uploads)
    uncached(response)
      .status(201)
      .location(`/v1/uploads/${upload.id}`)
      .json({ ...document, ...(await tokenFor(upload, response, deps)), ...(permission && { upload: permission }) })
  })
  router.get('/v1/uploads/:id', async (request, response) => {
    const upload = await own(request, response)
    uncached(response).json(await describeUpload(await waited(request, response, upload, deps), uploads))
  })
  router.get('/v1/uploads/:id/events', async (request, response) => {
    const upload = await own(request, response)
    const signal = AbortSignal.any([signalOf(response, deps.maxStreamMs), deps.closing])
    await sendEvents(response, eventsOf(upload, uploads, signal))
  })
  router.post('/v1/uploads/:id/parts', jsonBody, async (request, response) => {
    const upload = await own(request, response)
    const { numbers } = readBody(partNumbers, request.body)
    const signed = await signParts(upload, numbers, uploads, signalOf(response, deps.requestTimeoutMs))
    uncached(response).json({ expiresIn: signed.expiresInSeconds, parts: signed.parts })
  })
  router.post('/v1/uploads/:id/confirm', async (request, response) => {
    const upload = await own(request, response)
    const confirmed = await confirmUpload(upload, uploads, signalOf(response, deps.requestTimeoutMs))
    await sendConfirmed(request, response, confirmed, deps)
  })
  router.delete('/v1/uploads/:id', async (request, response) => {
    const upload = await own(request, response)
    await deleteUpload(upload, principalOf(response), uploads, signalOf(response, deps.requestTimeoutMs))
    uncached(response).status(204).end()
  })
  return router
}

/**
 * The outcome of a confirmed upload, after waiting for it where the caller prefers to: 202 while it is still at work, 200 when an image
 * came of it. Throws what it was rejected for.
 */
export async function sendConfirmed(
  request: Request,
  response: Response,
  upload: UploadRecord,
  deps: UploadRoutesDeps,
): Promise<void> {
  const latest = await waited(request, response, upload, deps)
  if (latest.state === 'rejected' || latest.state === 'failed') throw reasonOf(latest)
  const document = await describeUpload(latest, deps.uploads)
  uncached(response)
    .status(isSettled(latest.state) ? 200 : 202)
    .json({ ...document, ...(await tokenFor(latest, response, deps)) })
}

/** `Prefer: wait` (RFC 7240). */
async function waited(
  request: Request,
  response: Response,
  upload: UploadRecord,
  deps: UploadRoutesDeps,
): Promise<UploadRecord> {
  const waitSeconds = preferredWait(request, deps.maxWaitSeconds)
  if (waitSeconds === 0) return upload
  const signal = AbortSignal.any([signalOf(response, deps.requestTimeoutMs), deps.closing])
  response.set('Preference-Applied', `wait=${waitSeconds}`)
  return awaitUpload(upload, waitSeconds * 1000, deps.uploads, signal)
}

/** Whoever has begun it without credentials follows it by a token of its own. */
async function tokenFor(
  upload: UploadRecord,
  response: Response,
  deps: UploadRoutesDeps,
): Promise<{ readonly token?: string }> {
  const { kind, uploadId } = principalOf(response)
  return kind === 'anonymous' && uploadId === undefined ? { token: await deps.tokenFor(upload) } : {}
}

async function* eventsOf(upload: UploadRecord, deps: UploadDeps, signal: AbortSignal): AsyncGenerator<ServerSentEvent> {
  for await (const latest of followUpload(upload, deps, signal)) {
    yield { id: `${latest.updatedAtMs}`, event: latest.state, data: await describeUpload(latest, deps) }
  }
}
