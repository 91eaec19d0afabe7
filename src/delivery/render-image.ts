import { AppError } from '../errors.ts'
import type { CachedResult } from '../cache/cached-result.ts'
import { withDeadline } from '../lib/deadline.ts'
import { canHold, type HeldOriginal, type Original, type OriginalState } from '../sources/source.ts'
import { contentTypeOf } from '../transform/image/formats.ts'
import type { ImageMetadata } from '../transform/image/image-metadata.ts'
import { planTransform } from '../transform/planner/plan-transform.ts'
import type { PlanLimits } from '../transform/planner/transform-plan.ts'
import type { JobOriginal } from '../transform/executor/job-original.ts'
import type { RenderedImage, RendererPool } from '../transform/executor/renderer-pool.ts'
import type { ImageRequest } from './image-request.ts'
import type { OriginalBudget } from './original-budget.ts'
import type { SlowSources } from './slow-sources.ts'

export type RenderDeps = {
  readonly rendererPool: RendererPool
  readonly planLimits: PlanLimits
  readonly sourceTimeoutMs: number
  readonly originalBudget: OriginalBudget
  readonly slowSources: SlowSources
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
  const { source } = request
  const isHeld = canHold(source) && !deps.slowSources.isSlow(source.name)
  const render = async () => {
    const original = await openOriginal(request, wanted.state, deps, withDeadline(signal, deps.sourceTimeoutMs))
    if (!original) throw new AppError('not_found')
    const rendered = await renderIfWanted(request, { original, wanted: wanted.state }, deps, signal)
    return {
      body: rendered.body,
      contentType: contentTypeOf(rendered.format),
      etag: wanted.etag,
      createdAtMs: wanted.nowMs,
      facts: { format: rendered.format, width: rendered.width, height: rendered.height },
    }
  }
  // What a renderer reads itself takes no memory here.
  return isHeld ? render() : deps.originalBudget.spend(wanted.state.byteLength, render)
}

/** Held where the source can do that, so that a renderer reads it; read here otherwise, and where a renderer would have to wait for a disk. */
function openOriginal(
  { source, path }: ImageRequest,
  known: OriginalState,
  { slowSources }: RenderDeps,
  signal: AbortSignal,
): Promise<Original | HeldOriginal | undefined> {
  const read = () => source.read(path, signal, known)
  if (slowSources.isSlow(source.name)) return slowSources.read(source.name, signal, read)
  return canHold(source) ? source.hold(path, signal, known) : read()
}

async function renderIfWanted(
  request: ImageRequest,
  { original, wanted }: { readonly original: Original | HeldOriginal; readonly wanted: OriginalState },
  deps: RenderDeps,
  signal: AbortSignal,
): Promise<RenderedImage> {
  try {
    if (original.version !== wanted.version) throw new OriginalChanged()
    return await renderOriginal(request, original, deps, signal)
  } finally {
    if ('close' in original) original.close()
  }
}

/** Its bytes, or the file as the executor sees it. */
function jobOriginal(
  original: Original | HeldOriginal,
  { source }: ImageRequest,
  { sourceTimeoutMs, slowSources, originalBudget }: RenderDeps,
  signal: AbortSignal,
): JobOriginal {
  if ('bytes' in original) return original.bytes
  const { heldPath, byteLength } = original
  return {
    onSlow: () => slowSources.note(source.name),
    heldPath,
    byteLength,
    async assertUnchanged() {
      if (!(await original.isUnchanged(withDeadline(signal, sourceTimeoutMs)))) throw new OriginalChanged()
    },
    async read() {
      const read = () => original.read(withDeadline(signal, sourceTimeoutMs))
      const bytes = await originalBudget.spend(byteLength, read)
      if (!bytes) throw new OriginalChanged()
      return bytes
    },
  }
}

async function renderOriginal(
  request: ImageRequest,
  original: Original | HeldOriginal,
  deps: RenderDeps,
  signal: AbortSignal,
): Promise<RenderedImage> {
  const { params, capabilities } = request
  const job = {
    original: jobOriginal(original, request, deps, signal),
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
