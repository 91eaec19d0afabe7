import type { IncomingMessage, ServerResponse } from 'node:http'
import { AppError } from '../errors.ts'

export type BodyLimits = {
  /** Longest pause between two chunks. */
  readonly idleTimeoutMs: number
  /** Longest time that a body may take. */
  readonly totalTimeoutMs: number
  /** How long a client that was refused may go on sending: many read the answer only after that. */
  readonly drainTimeoutMs: number
}

/** A phone on a bad line stops for a while; an hour is enough for 2 GB at 5 Mbit/s. */
export const bodyLimits: BodyLimits = { idleTimeoutMs: 30_000, totalTimeoutMs: 3_600_000, drainTimeoutMs: 10_000 }

/**
 * Hands the body over as chunks, with a signal that aborts when the client leaves, pauses too long (`request_timeout`) or takes
 * too long in all. undefined when the client has gone and there is nobody to answer.
 */
export async function receiveBody<T>(
  request: IncomingMessage,
  response: ServerResponse,
  limits: BodyLimits,
  take: (bytes: AsyncIterable<Uint8Array>, signal: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  const patience = new AbortController()
  const tooSlow = () => {
    response.setHeader('Connection', 'close')
    patience.abort(new AppError('request_timeout', { detail: 'The body came too slowly.' }))
  }
  const leave = () => patience.abort(new AppError('client_closed_request'))
  const idle = setTimeout(tooSlow, limits.idleTimeoutMs)
  const total = setTimeout(tooSlow, limits.totalTimeoutMs)
  response.once('close', leave)
  try {
    return await take(
      chunksOf(request, () => idle.refresh()),
      patience.signal,
    )
  } catch (error) {
    if (response.destroyed || response.closed) return undefined
    drain(request, limits.drainTimeoutMs)
    throw error
  } finally {
    clearTimeout(idle)
    clearTimeout(total)
    response.off('close', leave)
  }
}

/** The request outlives its reader, so that there is a connection to answer on. */
async function* chunksOf(request: IncomingMessage, onChunk: () => void): AsyncGenerator<Uint8Array, void> {
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    onChunk()
    yield chunk as Buffer
  }
}

/** Reads the rest away: closing on a client that still sends would take the answer from it. */
function drain(request: IncomingMessage, timeoutMs: number): void {
  if (request.complete) return
  const timer = setTimeout(() => request.destroy(), timeoutMs)
  request.once('close', () => clearTimeout(timer))
  request.resume()
}
