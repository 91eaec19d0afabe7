import type { CachedResult } from '../cache/cached-result.ts'
import type { ResultCache } from '../cache/result-cache.ts'
import type { DeliveryConfig } from '../config/config.ts'
import { AppError, toAppError } from '../errors.ts'
import type { OriginalState, Source } from '../sources/source.ts'
import { detectCapabilities } from '../transform/negotiation/detect-capabilities.ts'
import { narrowCapabilities } from '../transform/negotiation/narrow-capabilities.ts'
import { parseParams } from '../transform/params/parse-params.ts'
import { cacheKey, etagOf } from './cache-key.ts'
import { isNotModified, namesEtag } from './conditional-request.ts'
import type { FailureMemory } from './failure-memory.ts'
import type { HotLane } from './hot-lane.ts'
import type { ImageAnswer } from './image-answer.ts'
import {
  applyRules,
  readImageRequest,
  routeRequest,
  splitTarget,
  type ImageRequest,
  type ImageRequestDeps,
  type RawRequest,
  type Route,
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
    let route: Route | undefined
    let request: ImageRequest | undefined
    try {
      route = routeRequest(raw, deps)
      if (route.source.rules) route = await applyRules(route)
      request = readImageRequest(raw, route, deps, deps.now())
      return await answerRequest({ raw, route, request, startedMs }, deps, signal)
    } catch (thrown) {
      const error = errorOf(thrown, signal)
      deps.onError(error, raw)
      return problemAnswer(error, {
        requestId: raw.id,
        instance: splitTarget(raw.target).rawPath.slice(0, 200),
        negotiated: request?.negotiated ?? canNegotiate(raw, route, deps),
        isPrivate: route?.config.visibility === 'private',
        delivery: deps.delivery,
      })
    }
  }
}

/** Who waited in vain is told apart from who went away: the signal's own AppError says that the time was up. */
function errorOf(thrown: unknown, signal: AbortSignal): AppError {
  if (!signal.aborted)
    return thrown instanceof OriginalChanged ? new AppError('source_failed', { cause: thrown }) : toAppError(thrown)
  return signal.reason instanceof AppError ? signal.reason : new AppError('client_closed_request', { cause: thrown })
}

async function answerRequest(
  asked: { raw: RawRequest; route: Route; request: ImageRequest; startedMs: number },
  deps: DeliverImageDeps,
  signal: AbortSignal,
): Promise<ImageAnswer> {
  const { raw, route, request } = asked
  for (let changes = 0; ; changes += 1) {
    // What has rules of its own may be gone with the next request: its state is never believed for a while.
    const state = await (request.source.rules
      ? request.source.stat(request.path, signal)
      : deps.stateOf(request.source, request.path, signal))
    if (!state) throw new AppError('not_found', { detail: 'The source has no original at this path.' })
    const key = keyOf(request, state, deps)
    const context: ResponseContext = { ...asked, state, etag: etagOf(key), nowMs: deps.now(), delivery: deps.delivery }

    // Only a tag that we once gave out proves that there is a picture; `*` and dates must wait for it.
    if (namesEtag(raw.ifNoneMatch, context.etag)) return notModifiedAnswer(context)
    try {
      const { result, origin } = await findOrRender(key, context, deps, signal)
      return answerFound({ ...context, nowMs: deps.now() }, { route, key, result, origin }, deps)
    } catch (error) {
      if (!(error instanceof OriginalChanged) || changes >= maxOriginalChanges) throw error
      deps.forgetState(request.source, request.path)
    }
  }
}

function answerFound(
  context: ResponseContext,
  found: { route: Route; key: string; result: CachedResult; origin: ResultOrigin },
  deps: DeliverImageDeps,
): ImageAnswer {
  const { raw, request, state, etag, nowMs } = context
  const { route, key, result, origin } = found
  // A render takes its time, and the URL may have expired meanwhile.
  if (request.expiresAtSeconds !== undefined && request.expiresAtSeconds * 1000 <= nowMs)
    readImageRequest(raw, route, deps, nowMs)
  if (isNotModified(raw, { etag, lastModifiedMs: state.lastModifiedMs })) return notModifiedAnswer(context)
  // Who shows a token is asked for it each time: its uses may count.
  if (origin.kind === 'hit' && !request.rules?.grant) deps.hotLane.remember(context, key, result)
  return resultAnswer(context, result, origin)
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

/** Whether the URL asks for negotiation, told from the query and the source's defaults: a refused request keeps its `Vary`, too. */
function canNegotiate(raw: RawRequest, route: Route | undefined, deps: DeliverImageDeps): boolean {
  const defaults = route?.config.defaultParams ?? ''
  try {
    const { params } = parseParams(splitTarget(raw.target).query, { strict: false, defaults, presets: deps.presets })
    return narrowCapabilities(params, detectCapabilities(raw.accept)).negotiated
  } catch {
    return false
  }
}
