import type { RenderConfig } from '../../config/config.ts'
import { AppError } from '../../errors.ts'
import type { ImageMetadata } from '../image/image-metadata.ts'
import type { TransformPlan } from '../planner/transform-plan.ts'
import type { ExaminedImage } from './examine-image.ts'
import { executorLimits } from './executor-limits.ts'
import { forecastPlan, forecastUnknown, kindOf } from './forecast-job.ts'
import { createJobDispatcher } from './job-dispatcher.ts'
import { byteLengthOf, heldBytesOf } from './job-original.ts'
import type { Forecast, Job } from './job-ticket.ts'
import type { ExamineJob } from './perform-examine.ts'
import { submitExamine, submitProbe } from './perform-examine.ts'
import type { PerformDeps, RenderedImage, RenderJob } from './perform-render.ts'
import { performProbe, performRender } from './perform-render.ts'
import { createCostCorrection, predictWork } from './predict-cost.ts'
import type { RefusedSources } from './refused-sources.ts'
import { createRefusedSources } from './refused-sources.ts'
import type { RendererEvent, RendererLog } from './renderer-slots.ts'
import { createRendererSlots, rendererEvents } from './renderer-slots.ts'
import { createSourceMemory } from './source-memory.ts'
import { createWarmRenderers } from './warm-renderers.ts'

export type { RenderedImage, RenderJob } from './perform-render.ts'
export type { RendererEvent, RendererLog } from './renderer-slots.ts'

export type RendererPoolStats = {
  /** Those that can take work now or are at it; `pids` also has those that are still starting. */
  readonly ready: number
  readonly running: number
  readonly queued: number
  readonly refusedSources: number
  readonly pids: readonly number[]
  readonly events: Readonly<Record<RendererEvent, number>>
}

/** The renderers and the queue before them. */
export interface RendererPool {
  /**
   * Probes, plans and renders one original. Throws AppErrors: `overloaded` (no room in the queue, or no hope of being done within a
   * deadline; `details.retryAfterSeconds` says when there may be), `shutting_down`, `render_too_slow`, `render_too_large`,
   * `render_refused`, `source_timeout` (the disk), those of probing, planning and decoding; and the signal's reason when it fires, which frees the place in the queue at once.
   */
  render(job: RenderJob, signal: AbortSignal): Promise<RenderedImage>
  /** Reads the header only. Throws as `render`. */
  probe(job: Omit<RenderJob, 'planFor'>, signal: AbortSignal): Promise<ImageMetadata>
  /** Decodes all of an upload, behind all renders; what it throws besides is that of `examineImage`. */
  examine(job: ExamineJob, signal: AbortSignal): Promise<ExaminedImage>
  /** Reads the header of an upload from its first bytes. */
  probeHeader(job: { readonly key: string; readonly bytes: Buffer }, signal: AbortSignal): Promise<ImageMetadata>
  stats(): RendererPoolStats
  /** Refuses new jobs, lets admitted ones end (until the signal fires, at most one deadline), ends all renderers. */
  close(signal?: AbortSignal): Promise<void>
}

export type RendererPoolOptions = {
  readonly config: RenderConfig
  readonly log: RendererLog
  readonly onEvent?: (event: RendererEvent) => void
}

const clock = { keepMs: executorLimits.keptPictureMs, nowMs: () => performance.now() }

/** Starts the configured number of renderers at once and returns without waiting for them; early jobs queue. */
export function createRendererPool({ config, log, onEvent }: RendererPoolOptions): RendererPool {
  const { refuseSeconds, sharedDecodeBytes: sharedBytes, deadlineMs } = config
  const refusedSources = createRefusedSources({
    refuseMs: refuseSeconds * 1000,
    maxEntries: executorLimits.refusedSources,
  })
  const { events, count } = createEventCounts(onEvent)
  const warmRenderers = createWarmRenderers(clock)
  const slots = createRendererSlots({ config, log, onEvent: count, onIdle: () => dispatcher.dispatch() })
  const dispatcher = createJobDispatcher({ config, slots, refusedSources, warmRenderers, log, onEvent: count })
  const deps: PerformDeps = {
    memory: createSourceMemory({ ...clock, maxEntries: executorLimits.rememberedSources }),
    correction: createCostCorrection(),
    warmRenderers,
    sharedBytes,
    onEvent: count,
    onHeaderRead: (sourceKey) => dispatcher.reforecast(sourceKey),
  }
  async function submit<Value>(job: Job<Value>, signal: AbortSignal): Promise<Value> {
    deps.memory.enter(job.sourceKey)
    try {
      return await dispatcher.submit(job, signal)
    } finally {
      deps.memory.leave(job.sourceKey)
    }
  }
  return {
    async render(given, signal) {
      const { job, isHeaderRead, plan, workMs } = planOnce(given, refusedSources)
      const perform: Job<RenderedImage>['perform'] = (renderer, queueMs) =>
        performRender(job, renderer, { ...deps, queueMs })
      try {
        return await submit({ ...describe(job), forecast: () => forecastOf(job, deps), plan, workMs, perform }, signal)
      } catch (error) {
        // A header is read in milliseconds: one that is not read within a deadline would cost as much for every variant.
        // A plan that was too slow says nothing of the original.
        const isHopeless = error instanceof AppError && error.code === 'render_too_slow' && !isHeaderRead()
        if (isHopeless) {
          refusedSources.refuse(job.sourceKey, Date.now())
          count('source_refused')
        }
        throw error
      }
    },
    probe(job, signal) {
      const perform: Job<ImageMetadata>['perform'] = (renderer) => performProbe(job, renderer, deps)
      return submit({ ...describe(job), forecast: () => forecastUnknown(0), plan: () => undefined, perform }, signal)
    },
    examine: (job, signal) => submitExamine(job, signal, submit),
    probeHeader: (job, signal) => submitProbe(job, signal, submit),
    stats() {
      const { ready, pids } = slots.counts()
      const { size } = refusedSources
      return { ready, ...dispatcher.counts(), refusedSources: size, pids, events: { ...events } }
    },
    async close(signal) {
      const limit = AbortSignal.timeout(deadlineMs)
      await dispatcher.drain(signal ? AbortSignal.any([signal, limit]) : limit)
      await slots.close()
    },
  }
}

function createEventCounts(onEvent: RendererPoolOptions['onEvent']) {
  const events = Object.fromEntries(rendererEvents.map((event) => [event, 0])) as Record<RendererEvent, number>
  const count = (event: RendererEvent): void => {
    events[event]++
    onEvent?.(event)
  }
  return { events, count }
}

/** The plan is asked for again and again while a job waits; that it was asked for at all tells that the header was read. */
function planOnce(given: RenderJob, refusedSources: RefusedSources) {
  let plan: TransformPlan | undefined
  let work: number | undefined
  let isRead = false
  const planFor = (metadata: ImageMetadata) => {
    isRead = true
    plan ??= given.planFor(metadata)
    work ??= predictWork(metadata, plan)
    if (refusedSources.isRefused(given.sourceKey, Date.now(), work)) throw new AppError('render_refused')
    return plan
  }
  return { job: { ...given, planFor }, isHeaderRead: () => isRead, plan: () => plan, workMs: () => work }
}

function describe({ sourceKey, sourceName, original }: Omit<RenderJob, 'planFor'>) {
  return { sourceKey, sourceName, bytes: heldBytesOf(original) }
}

/** Notes what the job wants of its original, too. */
function forecastOf(job: RenderJob, { memory, correction, sharedBytes }: PerformDeps): Forecast {
  const { sourceKey, original } = job
  const metadata = memory.metadataOf(sourceKey)
  if (!metadata) return forecastUnknown(byteLengthOf(original))
  try {
    const plan = job.planFor(metadata)
    const factor = correction.factor(kindOf(metadata, plan))
    const forecast = forecastPlan({ sourceKey, metadata }, plan, { factor, sharedBytes })
    if (forecast.decode !== undefined) memory.wantDecode(sourceKey, forecast.decode, forecast.drawing ?? job)
    return forecast
  } catch {
    // It will fail as soon as it is performed, which costs next to nothing.
    return { ...forecastUnknown(0), isKnown: true }
  }
}
