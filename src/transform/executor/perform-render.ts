import { AppError } from '../../errors.ts'
import type { InputFormat, OutputFormat } from '../image/formats.ts'
import { inputContentTypes, outputFormats } from '../image/formats.ts'
import type { ImageMetadata } from '../image/image-metadata.ts'
import type { TransformPlan } from '../planner/transform-plan.ts'
import type { Keep, Sharing } from './execute-plan.ts'
import { executorLimits } from './executor-limits.ts'
import { kindOf, forecastPlan, pictureOf } from './forecast-job.ts'
import type { JobOriginal } from './job-original.ts'
import { byteLengthOf, bytesOf } from './job-original.ts'
import type { Forecast } from './job-ticket.ts'
import type { CostCorrection } from './predict-cost.ts'
import type { RendererReply } from './renderer-messages.ts'
import type { RendererProcess } from './renderer-process.ts'
import type { RendererEvent } from './renderer-slots.ts'
import type { SourceMemory } from './source-memory.ts'
import type { WarmRenderers } from './warm-renderers.ts'

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
  readonly original: JobOriginal
  /** Names the source version; one that kills two renderers is refused under this key for `refuseSeconds`. */
  readonly sourceKey: string
  /** The configured source: sources share the renderers fairly. */
  readonly sourceName: string
  /** Pure; called when the header is known, and again where a renderer has forgotten the original. Its errors end the job and leave the renderer alone. */
  readonly planFor: (metadata: ImageMetadata) => TransformPlan
}

export type PerformDeps = {
  readonly memory: SourceMemory
  readonly warmRenderers: WarmRenderers
  readonly correction: CostCorrection
  readonly sharedBytes: number
  readonly onEvent: (event: RendererEvent) => void
  readonly onHeaderRead: (sourceKey: string) => void
}

const original = 'original'

const sharingEvents: Readonly<Record<Sharing, RendererEvent | undefined>> = {
  none: undefined,
  unfiled: 'no_temporary_file',
  built: 'shared_built',
  decoded: 'shared_decode_hit',
  drawn: 'shared_drawing_hit',
}

/** The header alone. */
export async function performProbe(
  job: Omit<RenderJob, 'planFor'>,
  renderer: RendererProcess,
  deps: PerformDeps,
): Promise<ImageMetadata> {
  const { metadata } = await openOriginalOn(renderer, job, deps)
  learnHeader(job, metadata, deps)
  renderer.tell({ kind: 'drop' })
  return metadata
}

/** Talks one job through on a renderer, and notes what the renderer has kept of it. */
export async function performRender(
  job: RenderJob,
  renderer: RendererProcess,
  deps: PerformDeps & { readonly queueMs: number },
): Promise<RenderedImage> {
  const recalled = await renderRecalled(job, renderer, deps)
  if (recalled) return recalled
  const { metadata, probeMs } = await openOriginalOn(renderer, job, deps)
  const plan = planAndNote(job, { metadata, renderer }, deps)
  const task = { metadata, plan, renderer, timings: { queueMs: deps.queueMs, probeMs } }
  const whole = untouched(plan)
  if (whole) {
    renderer.tell({ kind: 'drop' })
    return passThrough(job, whole, task)
  }
  return renderedImage(expectReply('rendered', await askForPlan(job, { ...task, sourceKey: undefined }, deps)), task)
}

/**
 * With one message, where the header is known and the renderer has the original: fourteen of the sixteen variants that a page asks for at
 * once. Undefined when the renderer turns out to have forgotten it.
 */
async function renderRecalled(
  job: RenderJob,
  renderer: RendererProcess,
  deps: PerformDeps & { readonly queueMs: number },
): Promise<RenderedImage | undefined> {
  const { memory, warmRenderers, onEvent, queueMs } = deps
  const { sourceKey } = job
  const metadata = memory.metadataOf(sourceKey)
  const picture = pictureOf(sourceKey, original)
  if (!metadata || !warmRenderers.isWarm(renderer, picture)) return undefined
  const plan = planAndNote(job, { metadata, renderer }, deps)
  const task = { metadata, plan, renderer, timings: { queueMs, probeMs: 0 } }
  const whole = untouched(plan)
  if (whole) return passThrough(job, whole, task)
  const reply = await askForPlan(job, { ...task, sourceKey }, deps)
  if (reply.kind === 'unknown') {
    warmRenderers.forget(renderer, picture)
    return undefined
  }
  onEvent('original_recalled')
  warmRenderers.note(renderer, picture)
  return renderedImage(reply, task)
}

type Task = {
  readonly metadata: ImageMetadata
  readonly plan: TransformPlan
  readonly renderer: RendererProcess
  readonly timings: { readonly queueMs: number; readonly probeMs: number }
}
type Rendered = Extract<RendererReply, { kind: 'rendered' }>

type Passthrough = Extract<TransformPlan, { kind: 'passthrough' }>

/** A plan that asks nothing of a renderer: the original as it is. */
function untouched(plan: TransformPlan): Passthrough | undefined {
  return plan.kind === 'passthrough' && !plan.sanitize ? plan : undefined
}

async function passThrough(job: RenderJob, plan: Passthrough, { metadata, timings }: Task): Promise<RenderedImage> {
  const { width, height } = plan
  const body = await bytesOf(job.original)
  const { frames } = metadata
  return { ...typeOf(plan), body, width, height, frames, metadata, plan, timings: { ...timings, renderMs: 0 } }
}

function renderedImage(
  { width, height, frames, renderMs, body: bytes }: Rendered,
  { metadata, plan, timings }: Task,
): RenderedImage {
  const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return { ...typeOf(plan), body, width, height, frames, metadata, plan, timings: { ...timings, renderMs } }
}

type Opened = Extract<RendererReply, { kind: 'probed' }>

/** Brings the original to the renderer, unless it is there already. */
async function openOriginalOn(
  renderer: RendererProcess,
  job: Omit<RenderJob, 'planFor'>,
  { warmRenderers, sharedBytes, onEvent }: PerformDeps,
): Promise<Opened> {
  const { sourceKey } = job
  const picture = pictureOf(sourceKey, original)
  const recalled = warmRenderers.isWarm(renderer, picture)
    ? await renderer.ask({ kind: 'recall', sourceKey })
    : undefined
  if (recalled?.kind === 'probed') onEvent('original_recalled')
  const reply = recalled && recalled.kind !== 'unknown' ? recalled : await sendOriginal(renderer, job)
  const opened = expectReply('probed', reply)
  if (byteLengthOf(job.original) <= sharedBytes * executorLimits.originalShare) warmRenderers.note(renderer, picture)
  return opened
}

/** A file is read by the renderer itself, which spares copying every photograph through the front. */
async function sendOriginal(
  renderer: RendererProcess,
  { sourceKey, original }: Pick<RenderJob, 'sourceKey' | 'original'>,
): Promise<RendererReply> {
  if (!Buffer.isBuffer(original)) {
    const { heldPath, byteLength } = original
    const slow = setTimeout(() => renderer.isReading() && original.onSlow(), executorLimits.slowReadMs)
    const reply = await renderer
      .ask({ kind: 'probeFile', sourceKey, heldPath, byteLength })
      .finally(() => clearTimeout(slow))
    if (reply.kind !== 'unreadable') {
      await original.assertUnchanged().catch((error: unknown) => {
        renderer.tell({ kind: 'forget', sourceKey })
        throw error
      })
      return reply
    }
  }
  return renderer.ask({ kind: 'probe', sourceKey, original: await bytesOf(original) })
}

/** `sourceKey` where the renderer is to recall the original by itself; it may know nothing of it then. */
async function askForPlan(
  job: RenderJob,
  { metadata, plan, renderer, sourceKey: recalled }: Task & { readonly sourceKey: string | undefined },
  deps: PerformDeps,
): Promise<Rendered | Extract<RendererReply, { kind: 'unknown' }>> {
  const { memory, warmRenderers, correction, sharedBytes, onEvent } = deps
  const { sourceKey } = job
  const forecast = forecastPlan({ sourceKey, metadata }, plan, { factor: 1, sharedBytes })
  const keep = worthKeeping(sourceKey, { metadata, forecast }, memory)
  // Noted before it was known who else wants it.
  if (forecast.decode !== undefined && !keep.decode) warmRenderers.forget(renderer, forecast.decode)
  try {
    const answer = await renderer.ask({ kind: 'plan', sourceKey: recalled, plan, keep })
    if (answer.kind === 'unknown') return answer
    const reply = expectReply('rendered', answer)
    const event = sharingEvents[reply.sharing]
    if (event) onEvent(event)
    correction.learn(kindOf(metadata, plan), predictedMs(forecast, reply.sharing), reply.renderMs)
    return reply
  } catch (error) {
    // What fails is read afresh the next time.
    memory.learn(sourceKey, undefined)
    for (const picture of [...picturesOf(forecast), pictureOf(sourceKey, original)])
      warmRenderers.forget(renderer, picture)
    throw error
  }
}

function predictedMs({ coldMs, decodedMs, drawnMs }: Forecast, sharing: Sharing): number {
  if (sharing === 'drawn') return drawnMs
  return sharing === 'decoded' ? decodedMs : coldMs
}

/** The plan, and what the renderer will keep while carrying it out: noted before others are placed by it. */
function planAndNote(
  job: RenderJob,
  { metadata, renderer }: { readonly metadata: ImageMetadata; readonly renderer: RendererProcess },
  deps: PerformDeps,
): TransformPlan {
  const { memory, warmRenderers, sharedBytes } = deps
  const { sourceKey } = job
  try {
    const plan = job.planFor(metadata)
    if (isWorthSharing(sourceKey, metadata, memory)) {
      const forecast = forecastPlan({ sourceKey, metadata }, plan, { factor: 1, sharedBytes })
      for (const picture of picturesOf(forecast)) warmRenderers.note(renderer, picture)
    }
    return plan
  } catch (error) {
    renderer.tell({ kind: 'drop' })
    throw error
  } finally {
    learnHeader(job, metadata, deps)
  }
}

function learnHeader(
  { sourceKey }: Pick<RenderJob, 'sourceKey'>,
  metadata: ImageMetadata,
  { memory, onHeaderRead }: PerformDeps,
): void {
  const isNew = memory.metadataOf(sourceKey) === undefined
  memory.learn(sourceKey, metadata)
  if (isNew) onHeaderRead(sourceKey)
}

/** A decode that only one drawing starts from is not worth its memory: that of 16 megapixels costs more than it takes from a file. */
function worthKeeping(
  sourceKey: string,
  { metadata, forecast }: { readonly metadata: ImageMetadata; readonly forecast: Forecast },
  memory: SourceMemory,
): Keep {
  const drawing = isWorthSharing(sourceKey, metadata, memory)
  const isWanted = forecast.decode !== undefined && memory.isDecodeShared(sourceKey, forecast.decode)
  return { drawing, decode: drawing && (isWanted || metadata.format === 'heic') }
}

/** A HEIC takes longer to decode than all else, and its pixels are there anyway. */
function isWorthSharing(sourceKey: string, metadata: ImageMetadata, memory: SourceMemory): boolean {
  return memory.isShared(sourceKey) || metadata.format === 'heic'
}

function picturesOf({ decode, drawing }: Forecast): string[] {
  return [decode, drawing].filter((picture) => picture !== undefined)
}

/** The answer of this kind; a failure is thrown as the error that it was. */
export function expectReply<Kind extends RendererReply['kind']>(
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
