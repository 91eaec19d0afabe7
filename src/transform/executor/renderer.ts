import { closeSync, openSync, readSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { setImmediate, setTimeout } from 'node:timers'
import sharp from 'sharp'
import { toAppError } from '../../errors.ts'
import { decodeFailure } from './decode-failure.ts'
import {
  originalsFd,
  packFailure,
  type RendererMessage,
  type RendererReply,
  type RendererSettings,
} from './renderer-messages.ts'
import { createJobRunner, type JobRequest } from './run-jobs.ts'

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
function withOriginal(message: RendererMessage): JobRequest | undefined {
  if (message.kind !== 'probe' && message.kind !== 'probeFile') return message
  const { sourceKey, byteLength } = message
  if (message.kind === 'probeFile') {
    const original = readHeldFile(message.heldPath, byteLength)
    if (original) send({ kind: 'read' })
    return original && { kind: 'probe', sourceKey, original }
  }
  const original = readWhole(originalsFd, byteLength)
  // The front is gone.
  if (!original) process.kill(process.pid, 'SIGKILL')
  return original && { kind: 'probe', sourceKey, original }
}

/** Undefined when the file cannot be opened from here, or has become shorter: the front knows what to do about either. */
function readHeldFile(heldPath: string, byteLength: number): Buffer | undefined {
  try {
    const fd = openSync(heldPath, 'r')
    try {
      return readWhole(fd, byteLength)
    } finally {
      closeSync(fd)
    }
  } catch {
    return undefined
  }
}

/** Undefined when it ends sooner. */
function readWhole(fd: number, byteLength: number): Buffer | undefined {
  const bytes = Buffer.allocUnsafeSlow(byteLength)
  for (let length = 0; length < byteLength;) {
    const read = readSync(fd, bytes, length, byteLength - length, null)
    if (read === 0) return undefined
    length += read
  }
  return bytes
}

function send(reply: RendererReply): void {
  process.send?.(reply)
}

const compileCacheAfterMs = 3000

function start(settings: RendererSettings): void {
  restrictSharp()
  const run = createJobRunner(settings)
  process.on('message', (message: RendererMessage) => {
    const request = withOriginal(message)
    if (!request) return send({ kind: 'unreadable' })
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
  // At the end there is no time for it, and the first jobs are not to wait for it. Writes nothing where all was found, or where there is no cache.
  setTimeout(flushCompileCache, compileCacheAfterMs).unref()
}

start(JSON.parse(process.argv[2] ?? '{}') as RendererSettings)
