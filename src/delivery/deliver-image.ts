import type { CachedResult } from '../cache/cached-result.ts'
import type { ResultCache } from '../cache/result-cache.ts'
import type { DeliveryConfig } from '../config/config.ts'
import { AppError, toAppError } from '../errors.ts'
import type { OriginalState, Source } from '../sources/source.ts'
import { detectCapabilities } from '../transform/negotiation/detect-capabilities.ts'
import { narrowCapabilities } from '../transform/negotiation/narrow-capabilities.ts'
import { parseParams } from '../transform/params/parse-params.ts'
import { cacheKey, etagOf } from './cache-key.ts'
import { isNotModified } from './conditional-request.ts'
import type { FailureMemory } from './failure-memory.ts'
import type { HotLane } from './hot-lane.ts'
import type { ImageAnswer } from './image-answer.ts'
import {
  readImageRequest,
  splitTarget,
  type ImageRequest,
  type ImageRequestDeps,
  type RawRequest,
} from './image-request.ts'
import { notModifiedAnswer, resultAnswer, type ResponseContext, type ResultOrigin } from './image-response.ts'
import { problemAnswer } from './problem-response.ts'
import { OriginalChanged, renderImage, type RenderDeps } from './render-image.ts'

export type DeliverImageDeps = ImageRequestDeps &
  RenderDeps & {
    readonly stateOf: (source: Source, path: string, signal: AbortSignal) => Promise<OriginalState | undefined>
    readonly forgetState: (source: Source, path: string) => void
    readonly resultCache: ResultCache
    readonly failureMemory: FailureMemory
    readonly hotLane: HotLane
    readonly delivery: DeliveryConfig
    readonly epoch: number
    readonly encoderEpoch: string
    readonly onError: (error: AppError, raw: RawRequest) => void
    readonly now: () => number
  }

export type DeliverImage = (raw: RawRequest, signal: AbortSignal) => Promise<ImageAnswer>

// An original that is rewritten this often while one request reads it is being written right now.
const maxOriginalChanges = 2

/** THE READ PATH: one raw request in, one complete answer out; never rejects. */
export function createDeliverImage(deps: DeliverImageDeps): DeliverImage {
  return async (raw, signal) => {
    const startedMs = performance.now()
    let request: ImageRequest | undefined
    try {
      request = readImageRequest(raw, deps, deps.now())
      return await answerRequest({ raw, request, startedMs }, deps, signal)
    } catch (thrown) {
      const error = signal.aborted ? new AppError('client_closed_request', { cause: thrown }) : toAppError(thrown)
      deps.onError(error, raw)
      return problemAnswer(error, {
        requestId: raw.id,
        instance: splitTarget(raw.target).rawPath.slice(0, 200),
        negotiated: request?.negotiated ?? canNegotiate(raw),
        isPrivate: request?.isPrivate ?? false,
        delivery: deps.delivery,
      })
    }
  }
}

async function answerRequest(
  asked: { raw: RawRequest; request: ImageRequest; startedMs: number },
  deps: DeliverImageDeps,
  signal: AbortSignal,
): Promise<ImageAnswer> {
  const { raw, request, startedMs } = asked
  for (let changes = 0; ; changes += 1) {
    const state = await deps.stateOf(request.source, request.path, signal)
    if (!state) throw new AppError('not_found', { detail: 'The source has no original at this path.' })
    const key = keyOf(request, state, deps)
    const context: ResponseContext = {
      raw,
      request,
      state,
      etag: etagOf(key),
      nowMs: deps.now(),
      startedMs,
      delivery: deps.delivery,
    }

    if (isNotModified(raw, { etag: context.etag, lastModifiedMs: state.lastModifiedMs }))
      return notModifiedAnswer(context)
    try {
      const { result, origin } = await findOrRender(key, context, deps, signal)
      if (origin.kind === 'hit' && origin.tier === 'memory') deps.hotLane.remember(context, key, result)
      return resultAnswer(context, result, origin)
    } catch (error) {
      if (!(error instanceof OriginalChanged) || changes >= maxOriginalChanges) throw error
      deps.forgetState(request.source, request.path)
    }
  }
}

async function findOrRender(
  key: string,
  context: ResponseContext,
  deps: DeliverImageDeps,
  signal: AbortSignal,
): Promise<{ result: CachedResult; origin: ResultOrigin }> {
  const { request, state, etag, nowMs } = context
  const failure = deps.failureMemory.recall(key, nowMs)
  if (failure) throw failure
  const render = (sharedSignal: AbortSignal) => renderImage(request, { state, etag, nowMs }, deps, sharedSignal)
  try {
    const { result, outcome } = await deps.resultCache.getOrRender(key, render, signal)
    return { result, origin: outcome }
  } catch (error) {
    if (error instanceof AppError) deps.failureMemory.remember(key, error, nowMs)
    throw error
  }
}

function keyOf(request: ImageRequest, state: OriginalState, deps: DeliverImageDeps): string {
  return cacheKey({
    source: request.source.name,
    path: request.path,
    version: state.version,
    canonical: request.canonical,
    capabilitiesKey: request.capabilitiesKey,
    epoch: deps.epoch,
    encoderEpoch: deps.encoderEpoch,
  })
}

/** Whether the URL asks for negotiation, told from the query alone: a refused request keeps its `Vary`, too. */
function canNegotiate(raw: RawRequest): boolean {
  try {
    const { params } = parseParams(splitTarget(raw.target).query, { strict: false, defaults: '', presets: {} })
    return narrowCapabilities(params, detectCapabilities(raw.accept)).negotiated
  } catch {
    return false
  }
}
