import { setImmediate } from 'node:timers'
import sharp from 'sharp'
import { toAppError } from '../../errors.ts'
import type { ImageMetadata } from '../image/image-metadata.ts'
import type { TransformPlan } from '../planner/transform-plan.ts'
import { decodeFailure } from './decode-failure.ts'
import { executePlan } from './execute-plan.ts'
import { probeImage } from './probe-image.ts'
import type { RendererReply, RendererRequest, RendererSettings } from './renderer-messages.ts'
import { packFailure } from './renderer-messages.ts'

/** The child process: one job at a time, no secret, no socket; it may be killed at any moment. */

/** Loaders of the formats in `inputFormats`, from memory only; everything else in libvips stays blocked. */
const loaders = ['Jpeg', 'Png', 'Webp', 'Nsgif', 'Heif', 'Tiff', 'Svg'].map(
  (format) => `VipsForeignLoad${format}Buffer`,
)

function restrictSharp(): void {
  sharp.cache(false)
  // Set by hand: sharp would take all cores as soon as it sees a better allocator.
  sharp.concurrency(1)
  sharp.block({ operation: ['VipsForeignLoad'] })
  sharp.unblock({ operation: loaders })
}

type Job = { readonly original: Buffer; readonly metadata: ImageMetadata }

function createJobRunner(settings: RendererSettings) {
  let job: Job | undefined
  return async (request: RendererRequest): Promise<RendererReply | undefined> => {
    switch (request.kind) {
      case 'probe': {
        const started = performance.now()
        const metadata = await probeImage(request.original, settings)
        job = { original: request.original, metadata }
        return { kind: 'probed', metadata, probeMs: performance.now() - started }
      }
      case 'plan': {
        const current = job
        job = undefined
        if (!current) throw new Error('a plan came without an original')
        return renderReply(current, request.plan, settings)
      }
      case 'drop':
        job = undefined
        return undefined
    }
  }
}

async function renderReply(job: Job, plan: TransformPlan, settings: RendererSettings): Promise<RendererReply> {
  const started = performance.now()
  const rendered = await executePlan(job.original, job.metadata, plan, settings)
  return { kind: 'rendered', ...rendered, renderMs: performance.now() - started, rssBytes: process.memoryUsage.rss() }
}

function send(reply: RendererReply): void {
  process.send?.(reply)
}

function start(settings: RendererSettings): void {
  restrictSharp()
  const run = createJobRunner(settings)
  process.on('message', (request: RendererRequest) => {
    run(request)
      .then((reply) => reply && send(reply))
      .catch((error: unknown) => {
        const failure = packFailure(error instanceof TypeError ? toAppError(error) : decodeFailure(error))
        send({ kind: 'failed', failure, rssBytes: process.memoryUsage.rss() })
      })
  })
  // The front is gone or has let go. An orderly exit would wait for libvips to finish its work, so leave at once.
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
  // The front decides when a renderer ends, so that Ctrl-C does not cut the requests that are being drained.
  process.on('SIGINT', () => undefined)
  process.on('SIGTERM', () => undefined)
  setImmediate(() => send({ kind: 'ready' }))
}

start(JSON.parse(process.argv[2] ?? '{}') as RendererSettings)
