import type { ImageMetadata } from '../image/image-metadata.ts'
import type { TransformPlan } from '../planner/transform-plan.ts'
import { executorLimits } from './executor-limits.ts'
import { examineImage } from './examine-image.ts'
import type { Keep } from './execute-plan.ts'
import { executePlan } from './execute-plan.ts'
import type { KeptPictures } from './kept-pictures.ts'
import { createKeptPictures } from './kept-pictures.ts'
import { probeImage } from './probe-image.ts'
import type { Raster } from './raster.ts'
import type { RendererReply, RendererRequest, RendererSettings } from './renderer-messages.ts'

/** A request with the bytes of its original. */
export type JobRequest = Exclude<RendererRequest, { readonly kind: 'probeFile' }>
type Original = { readonly bytes: Buffer; readonly metadata: ImageMetadata }
type Job = Original & { readonly sourceKey: string }
type Kept = {
  readonly settings: RendererSettings
  readonly originals: KeptPictures<Original>
  readonly rasters: KeptPictures<Raster>
}

const whole = 'original'
const { originalShare } = executorLimits

/** Answers the requests of the front, one job at a time; keeps pictures of recent originals for further variants. */
export function createJobRunner(settings: RendererSettings) {
  const kept = createKept(settings)
  let job: Job | undefined
  const recall = (sourceKey: string): Job | undefined => {
    const original = kept.originals.get(sourceKey, whole)
    return original && { ...original, sourceKey }
  }
  async function answer(request: JobRequest): Promise<RendererReply | undefined> {
    switch (request.kind) {
      case 'recall': {
        job = recall(request.sourceKey)
        return job ? { kind: 'probed', metadata: job.metadata, probeMs: 0 } : { kind: 'unknown' }
      }
      case 'probe': {
        const { sourceKey, original: bytes } = request
        const started = performance.now()
        const metadata = await probeImage(bytes, settings)
        job = { bytes, metadata, sourceKey }
        kept.originals.keep(sourceKey, whole, { bytes, metadata }, bytes.length)
        return { kind: 'probed', metadata, probeMs: performance.now() - started }
      }
      case 'plan': {
        const current = request.sourceKey === undefined ? job : recall(request.sourceKey)
        job = undefined
        if (current) return renderReply(current, request, kept)
        if (request.sourceKey === undefined) throw new Error('a plan came without an original')
        return { kind: 'unknown' }
      }
      case 'examine': {
        const current = job
        job = undefined
        if (!current) throw new Error('limits came without an original')
        const examined = await examineImage(current.bytes, { ...settings, ...request.limits })
        return { kind: 'examined', ...examined, rssBytes: process.memoryUsage.rss() }
      }
      case 'drop':
        job = undefined
        return undefined
      case 'forget':
        job = undefined
        kept.originals.forget(request.sourceKey)
        return undefined
    }
  }
  return answer
}

function createKept(settings: RendererSettings): Kept {
  const bounds = { keepMs: settings.keptPictureMs, nowMs: () => performance.now() }
  const originals = createKeptPictures<Original>({ ...bounds, maxBytes: settings.sharedBytes * originalShare })
  const rasters = createKeptPictures<Raster>({ ...bounds, maxBytes: settings.sharedBytes * (1 - originalShare) })
  const sweep = (): void => {
    originals.sweep()
    rasters.sweep()
  }
  setInterval(sweep, settings.keptPictureMs / 2).unref()
  return { settings, originals, rasters }
}

async function renderReply(
  job: Job,
  { plan, keep }: { readonly plan: TransformPlan; readonly keep: Keep },
  { settings, originals, rasters }: Kept,
): Promise<RendererReply> {
  const { bytes, metadata, sourceKey } = job
  const started = performance.now()
  const shared = {
    get: (name: string) => rasters.get(sourceKey, name),
    keep: (name: string, raster: Raster) => rasters.keep(sourceKey, name, raster, raster.pixels.length),
    building: keep,
    maxBytes: settings.sharedBytes * (1 - originalShare),
  }
  try {
    const rendered = await executePlan(bytes, metadata, plan, { ...settings, shared })
    return { kind: 'rendered', ...rendered, renderMs: performance.now() - started, rssBytes: process.memoryUsage.rss() }
  } catch (error) {
    originals.forget(sourceKey)
    rasters.forget(sourceKey)
    throw error
  }
}
