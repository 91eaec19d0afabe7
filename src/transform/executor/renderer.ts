import { readSync } from 'node:fs'
import { setImmediate } from 'node:timers'
import sharp from 'sharp'
import { toAppError } from '../../errors.ts'
import { decodeFailure } from './decode-failure.ts'
import {
  originalsFd,
  packFailure,
  type RendererMessage,
  type RendererReply,
  type RendererRequest,
  type RendererSettings,
} from './renderer-messages.ts'
import { createJobRunner } from './run-jobs.ts'

/** The child process: one job at a time, no secret, no socket; it may be killed at any moment. */

/**
 * Loaders of the formats in `inputFormats`, from memory only; everything else in libvips stays blocked. The one that reads
 * files is for `decodeShared`, which names its own file; nothing of a request or an original ever becomes a file name.
 */
const loaders = [
  ...['Jpeg', 'Png', 'Webp', 'Nsgif', 'Heif', 'Tiff', 'Svg'].map((format) => `VipsForeignLoad${format}Buffer`),
  'VipsForeignLoadJpegFile',
]

function restrictSharp(): void {
  sharp.cache(false)
  // Set by hand: sharp would take all cores as soon as it sees a better allocator.
  sharp.concurrency(1)
  sharp.block({ operation: ['VipsForeignLoad'] })
  sharp.unblock({ operation: loaders })
}

/** Fetches the bytes that a message announces. Blocks: until they are here there is nothing else to do. */
function withOriginal(message: RendererMessage): RendererRequest {
  if (message.kind !== 'probe') return message
  const original = Buffer.allocUnsafeSlow(message.byteLength)
  for (let length = 0; length < original.length;) {
    const read = readSync(originalsFd, original, length, original.length - length, null)
    // The front is gone.
    if (read === 0) process.kill(process.pid, 'SIGKILL')
    length += read
  }
  return { kind: 'probe', sourceKey: message.sourceKey, original }
}

function send(reply: RendererReply): void {
  process.send?.(reply)
}

function start(settings: RendererSettings): void {
  restrictSharp()
  const run = createJobRunner(settings)
  process.on('message', (message: RendererMessage) => {
    run(withOriginal(message))
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
