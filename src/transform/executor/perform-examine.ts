import type { ErrorCode } from '../../errors.ts'
import { AppError } from '../../errors.ts'
import type { ImageMetadata } from '../image/image-metadata.ts'
import type { ExaminedImage, ExamineLimits } from './examine-image.ts'
import { forecastUnknown } from './forecast-job.ts'
import type { Job } from './job-ticket.ts'
import { expectReply } from './perform-render.ts'
import type { RendererProcess } from './renderer-process.ts'

/** `key` names the bytes: what kills renderers is refused by it. */
export type ExamineJob = Omit<ExamineLimits, 'timeoutSeconds'> & { readonly key: string; readonly bytes: Buffer }

type Submit = <Value>(job: Job<Value>, signal: AbortSignal) => Promise<Value>

/** Uploads are a source of their own among those that share the renderers. */
const sourceName = 'uploads'

const decoderEnds: Partial<Record<ErrorCode, string>> = {
  render_refused: 'Decoding the file ends the decoder.',
  render_too_large: 'Decoding the file takes more memory than allowed.',
}

/** Behind all that somebody waits for. A file that kills two renderers is taken for one that cannot be decoded. */
export async function submitExamine(job: ExamineJob, signal: AbortSignal, submit: Submit): Promise<ExaminedImage> {
  const described = {
    ...describe(job),
    isBackground: true,
    plan: () => undefined,
    forecast: () => forecastUnknown(job.bytes.length),
  }
  try {
    return await submit({ ...described, perform: (renderer) => performExamine(job, renderer) }, signal)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    const detail = decoderEnds[error.code]
    throw detail === undefined ? error : new AppError('undecodable', { detail, cause: error })
  }
}

/** The header alone, from the first bytes of a file; throws `undecodable` where it reaches beyond them. */
export function submitProbe(
  job: Pick<ExamineJob, 'key' | 'bytes'>,
  signal: AbortSignal,
  submit: Submit,
): Promise<ImageMetadata> {
  const described = { ...describe(job), plan: () => undefined, forecast: () => forecastUnknown(0) }
  return submit({ ...described, perform: (renderer) => performProbe(job, renderer) }, signal)
}

function describe({ key, bytes }: Pick<ExamineJob, 'key' | 'bytes'>) {
  return { sourceKey: sourceKeyOf(key), sourceName, bytes: bytes.length }
}

function sourceKeyOf(key: string): string {
  return `upload ${key}`
}

async function performExamine(job: ExamineJob, renderer: RendererProcess): Promise<ExaminedImage> {
  const { key, bytes: _, ...limits } = job
  await openOn(renderer, job)
  const reply = await renderer.ask({ kind: 'examine', limits })
  // The same bytes will not come again.
  renderer.tell({ kind: 'forget', sourceKey: sourceKeyOf(key) })
  const { facts, preview } = expectReply('examined', reply)
  return { facts, preview: Buffer.from(preview.buffer, preview.byteOffset, preview.byteLength) }
}

async function performProbe(job: Pick<ExamineJob, 'key' | 'bytes'>, renderer: RendererProcess): Promise<ImageMetadata> {
  const metadata = await openOn(renderer, job)
  renderer.tell({ kind: 'forget', sourceKey: sourceKeyOf(job.key) })
  return metadata
}

async function openOn(
  renderer: RendererProcess,
  { key, bytes }: Pick<ExamineJob, 'key' | 'bytes'>,
): Promise<ImageMetadata> {
  const reply = await renderer.ask({ kind: 'probe', sourceKey: sourceKeyOf(key), original: bytes })
  return expectReply('probed', reply).metadata
}
