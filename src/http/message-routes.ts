import { Router, type Request, type Response } from 'express'
import { z } from 'zod'
import { AppError } from '../errors.ts'
import { requireScope } from '../uploads/access.ts'
import {
  listDeadJobs,
  retryDeadJob,
  retryDeadJobs,
  type DeadJobsDeps,
  type DeadUploadJob,
} from '../uploads/dead-jobs.ts'
import { messageTypes } from '../uploads/message-types.ts'
import { readBody } from '../uploads/read-body.ts'
import { describeMessage, replayMessage, replayMessages } from '../uploads/replay-message.ts'
import type { UploadDeps } from '../uploads/upload-deps.ts'
import { describeWebhook } from '../uploads/webhook-endpoint.ts'
import { assertQuery, pathValue, queryNumber, queryValue, uncached } from './api-request.ts'
import { jsonBody } from './json-body.ts'
import { principalOf } from './middleware/authenticate.ts'

export type MessageRoutesDeps = {
  readonly uploads: UploadDeps
  readonly deadJobs: DeadJobsDeps['deadJobs']
  /** Has messages delivered that wait. */
  readonly wakeDeliverer: () => void
}

const states = ['waiting', 'delivered', 'dead'] as const
const since = z.iso.datetime({ offset: true, error: 'a time of ISO 8601 such as 2026-01-31T12:00:00Z' }).optional()
const jobFilter = z.strictObject({ since })
const messageFilter = z.strictObject({ type: z.enum(messageTypes).optional(), since })
const limits = { min: 1, max: 100, default: 20 }

/** For those who run a project: webhook messages and jobs, and another try for those that were given up. */
export function createMessageRoutes({ uploads, deadJobs, wakeDeliverer }: MessageRoutesDeps): Router {
  const { outbox, webhooks } = uploads.stores
  const replayDeps = { outbox, webhooks, now: uploads.now }
  const router = Router()

  router.get('/v1/messages', async (request, response) => {
    const project = administered(response)
    assertQuery(request, ['state', 'limit'])
    const state = stateOf(request)
    const limit = queryNumber(request, 'limit', limits)
    const messages = await outbox.list({ project, limit, ...(state && { state }) })
    const webhook = await describeWebhook(project, uploads.config, webhooks)
    uncached(response).json({ messages: messages.map(describeMessage), webhook })
  })
  router.post('/v1/messages/replay', jsonBody, async (request, response) => {
    const project = administered(response)
    const replayed = await replayMessages(project, readBody(messageFilter, request.body), replayDeps)
    wakeDeliverer()
    uncached(response).status(202).json(replayed)
  })
  router.post('/v1/messages/:id/replay', async (request, response) => {
    const message = await replayMessage(administered(response), pathValue(request, 'id'), replayDeps)
    wakeDeliverer()
    uncached(response).status(202).json(describeMessage(message))
  })
  router.get('/v1/jobs/dead', async (request, response) => {
    const project = administered(response)
    assertQuery(request, ['limit'])
    const dead = await listDeadJobs(project, queryNumber(request, 'limit', limits), uploads)
    uncached(response).json({ jobs: dead.map(describeDead) })
  })
  router.post('/v1/jobs/dead/retry', jsonBody, async (request, response) => {
    const project = administered(response)
    const asked = readBody(jobFilter, request.body)
    uncached(response)
      .status(202)
      .json(await retryDeadJobs(project, asked, { ...uploads, deadJobs }))
  })
  router.post('/v1/jobs/dead/:id/retry', async (request, response) => {
    const upload = await retryDeadJob(administered(response), pathValue(request, 'id'), { ...uploads, deadJobs })
    uncached(response).status(202).json({ uploadId: upload.id, state: upload.state })
  })
  return router
}

/** The project of the caller, who runs it. */
function administered(response: Response): string {
  const principal = principalOf(response)
  requireScope(principal, 'admin')
  return principal.project
}

function stateOf(request: Request): (typeof states)[number] | undefined {
  const asked = queryValue(request, 'state')
  if (asked === undefined) return undefined
  const state = states.find((one) => one === asked)
  if (state) return state
  throw new AppError('bad_request', {
    detail: `"state": expected one of ${states.join(', ')}, got ${JSON.stringify(asked).slice(0, 40)}.`,
  })
}

function describeDead({ job, upload }: DeadUploadJob) {
  const { id, kind, attempts, lastError, diedAtMs } = job
  return {
    ...{ id, kind, attempts, lastError },
    diedAt: new Date(diedAtMs).toISOString(),
    upload: { id: upload.id, state: upload.state },
  }
}
