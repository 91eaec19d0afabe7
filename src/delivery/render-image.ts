import { AppError } from '../errors.ts'
import type { CachedResult } from '../cache/cached-result.ts'
import { withDeadline } from '../lib/deadline.ts'
import type { Original, OriginalState } from '../sources/source.ts'
import { contentTypeOf } from '../transform/image/formats.ts'
import type { ImageMetadata } from '../transform/image/image-metadata.ts'
import { planTransform } from '../transform/planner/plan-transform.ts'
import type { PlanLimits } from '../transform/planner/transform-plan.ts'
import type { RenderedImage, RendererPool } from '../transform/executor/renderer-pool.ts'
import type { ImageRequest } from './image-request.ts'
import type { OriginalBudget } from './original-budget.ts'

export type RenderDeps = {
  readonly rendererPool: RendererPool
  readonly planLimits: PlanLimits
  readonly sourceTimeoutMs: number
  readonly originalBudget: OriginalBudget
  readonly onRendered: (rendered: RenderedImage) => void
  /** The error's code, or `aborted` when nobody waited any more. */
  readonly onRenderFailed: (code: string) => void
}

/** The original behind this path is no longer the one that the key was made for; the read path starts over. */
export class OriginalChanged extends Error {}

/** The miss: fetch the original, render it, and describe the result. Throws AppErrors, or OriginalChanged. */
export function renderImage(
  request: ImageRequest,
  wanted: { readonly state: OriginalState; readonly etag: string; readonly nowMs: number },
  deps: RenderDeps,
  signal: AbortSignal,
): Promise<CachedResult> {
  return deps.originalBudget.spend(wanted.state.byteLength, async () => {
    const reading = withDeadline(signal, deps.sourceTimeoutMs)
    const original = await request.source.read(request.path, reading, wanted.state)
    if (!original) throw new AppError('not_found')
    if (original.version !== wanted.state.version) throw new OriginalChanged()
    const rendered = await renderOriginal(request, original, deps, signal)
    return {
      body: rendered.body,
      contentType: contentTypeOf(rendered.format),
      etag: wanted.etag,
      createdAtMs: wanted.nowMs,
      facts: { format: rendered.format, width: rendered.width, height: rendered.height },
    }
  })
}

async function renderOriginal(
  request: ImageRequest,
  original: Original,
  deps: RenderDeps,
  signal: AbortSignal,
): Promise<RenderedImage> {
  const { params, capabilities } = request
  const job = {
    original: original.bytes,
    sourceKey: JSON.stringify([request.source.name, request.path, original.version]),
    sourceName: request.source.name,
    planFor: (metadata: ImageMetadata) => planTransform({ params, metadata, capabilities, limits: deps.planLimits }),
  }
  try {
    const rendered = await deps.rendererPool.render(job, signal)
    deps.onRendered(rendered)
    return rendered
  } catch (error) {
    deps.onRenderFailed(error instanceof AppError ? error.code : 'aborted')
    throw error
  }
}
