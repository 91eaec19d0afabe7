import type { RenderConfig } from '../../config/config.ts'
import { AppError } from '../../errors.ts'
import type { InputFormat, OutputFormat } from '../image/formats.ts'
import { inputContentTypes, outputFormats } from '../image/formats.ts'
import type { ImageMetadata } from '../image/image-metadata.ts'
import type { TransformPlan } from '../planner/transform-plan.ts'
import { executorLimits } from './executor-limits.ts'
import { createJobDispatcher } from './job-dispatcher.ts'
import { createRefusedSources } from './refused-sources.ts'
import type { RendererReply } from './renderer-messages.ts'
import type { RendererProcess } from './renderer-process.ts'
import type { RendererEvent, RendererLog } from './renderer-slots.ts'
import { createRendererSlots } from './renderer-slots.ts'

export type { RendererEvent, RendererLog } from './renderer-slots.ts'

/** A finished picture with all that is known about how it came about; sizes in px of one frame. */
export type RenderedImage = {
  readonly body: Buffer
  readonly contentType: string
  readonly format: OutputFormat | InputFormat
  readonly width: number
  readonly height: number
  readonly frames: number
  readonly metadata: ImageMetadata
  readonly plan: TransformPlan
  readonly timings: { readonly queueMs: number; readonly probeMs: number; readonly renderMs: number }
}

export type RenderJob = {
  readonly original: Buffer
  /** Names the source version; one that kills two renderers is refused under this key for `refuseSeconds`. */
  readonly sourceKey: string
  /** Pure; called once the header is known. Its errors end the job and leave the renderer alone. */
  readonly planFor: (metadata: ImageMetadata) => TransformPlan
}

export type RendererPoolStats = {
  readonly renderers: number
  readonly running: number
  readonly queued: number
  readonly refusedSources: number
  readonly pids: readonly number[]
  readonly events: Readonly<Record<RendererEvent, number>>
}

/** The renderers and the queue before them. */
export interface RendererPool {
  /**
   * Probes, plans and renders one original. Throws AppErrors: `overloaded` (queue full, or waited longer than a deadline),
   * `shutting_down`, `render_too_slow`, `render_refused`, those of probing, planning and decoding; and the signal's
   * reason when it fires, which frees the place in the queue at once.
   */
  render(job: RenderJob, signal: AbortSignal): Promise<RenderedImage>
  /** Reads the header only. Throws as `render`. */
  probe(job: Omit<RenderJob, 'planFor'>, signal: AbortSignal): Promise<ImageMetadata>
  stats(): RendererPoolStats
  /** Refuses new jobs, lets admitted ones end (until the signal fires, at most one deadline), ends all renderers. */
  close(signal?: AbortSignal): Promise<void>
}

export type RendererPoolOptions = {
  readonly config: RenderConfig
  readonly log: RendererLog
  readonly onEvent?: (event: RendererEvent) => void
}

/** Starts the configured number of renderers at once and returns without waiting for them; early jobs queue. */
export function createRendererPool({ config, log, onEvent }: RendererPoolOptions): RendererPool {
  const refusedSources = createRefusedSources({
    refuseMs: config.refuseSeconds * 1000,
    maxEntries: executorLimits.refusedSources,
  })
  const events: Record<RendererEvent, number> = {
    started: 0,
    start_failed: 0,
    died: 0,
    recycled: 0,
    deadline_killed: 0,
    abandoned_killed: 0,
    source_refused: 0,
  }
  const count = (event: RendererEvent): void => {
    events[event]++
    onEvent?.(event)
  }
  const slots = createRendererSlots({ config, log, onEvent: count, onIdle: () => dispatcher.dispatch() })
  const dispatcher = createJobDispatcher({ config, slots, refusedSources, log, onEvent: count })
  return {
    render: (job, signal) =>
      dispatcher.submit(
        { sourceKey: job.sourceKey, perform: (renderer, queueMs) => performRender(job, renderer, queueMs) },
        signal,
      ),
    probe: (job, signal) =>
      dispatcher.submit(
        { sourceKey: job.sourceKey, perform: (renderer) => performProbe(job.original, renderer) },
        signal,
      ),
    stats() {
      const { ready, pids } = slots.counts()
      return {
        renderers: ready,
        ...dispatcher.counts(),
        refusedSources: refusedSources.size,
        pids,
        events: { ...events },
      }
    },
    async close(signal) {
      const limit = AbortSignal.timeout(config.deadlineMs)
      await dispatcher.drain(signal ? AbortSignal.any([signal, limit]) : limit)
      await slots.close()
    },
  }
}

async function performProbe(original: Buffer, renderer: RendererProcess): Promise<ImageMetadata> {
  const { metadata } = expectReply('probed', await renderer.ask({ kind: 'probe', original }))
  renderer.tell({ kind: 'drop' })
  return metadata
}

async function performRender(job: RenderJob, renderer: RendererProcess, queueMs: number): Promise<RenderedImage> {
  const { metadata, probeMs } = expectReply('probed', await renderer.ask({ kind: 'probe', original: job.original }))
  const plan = planOrDrop(job, metadata, renderer)
  const timings = { queueMs, probeMs, renderMs: 0 }
  if (plan.kind === 'passthrough' && !plan.sanitize) {
    renderer.tell({ kind: 'drop' })
    const { width, height } = plan
    return {
      ...typeOf(plan),
      body: job.original,
      width,
      height,
      frames: metadata.frames,
      metadata,
      plan,
      timings,
    }
  }
  const reply = expectReply('rendered', await renderer.ask({ kind: 'plan', plan }))
  const { width, height, frames, renderMs } = reply
  const body = Buffer.from(reply.body.buffer, reply.body.byteOffset, reply.body.byteLength)
  return { ...typeOf(plan), body, width, height, frames, metadata, plan, timings: { ...timings, renderMs } }
}

function planOrDrop(job: RenderJob, metadata: ImageMetadata, renderer: RendererProcess): TransformPlan {
  try {
    return job.planFor(metadata)
  } catch (error) {
    renderer.tell({ kind: 'drop' })
    throw error
  }
}

function expectReply<Kind extends RendererReply['kind']>(
  kind: Kind,
  reply: RendererReply,
): Extract<RendererReply, { kind: Kind }> {
  if (reply.kind === 'failed') {
    const { code, detail, details, reason } = reply.failure
    throw new AppError(code, {
      ...(detail === undefined ? {} : { detail }),
      details,
      cause: reason && new Error(reason),
    })
  }
  if (reply.kind !== kind)
    throw new AppError('internal', { cause: new Error(`renderer answered ${reply.kind}, not ${kind}`) })
  return reply as Extract<RendererReply, { kind: Kind }>
}

function typeOf(plan: TransformPlan): Pick<RenderedImage, 'format' | 'contentType'> {
  if (plan.kind === 'passthrough') return { format: plan.format, contentType: inputContentTypes[plan.format] }
  return { format: plan.output.format, contentType: outputFormats[plan.output.format].contentType }
}
