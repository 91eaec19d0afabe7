import type { ServerResponse } from 'node:http'
import type { ImageAnswer } from '../delivery/image-answer.ts'
import type { HeldMemory, UnsentAnswers } from './unsent-answers.ts'

/** Writes an answer; HEAD gets the same head and no body. */
export function sendImage(response: ServerResponse, answer: ImageAnswer, method: string): void {
  response.writeHead(answer.status, answer.headers.flat())
  response.end(method === 'HEAD' ? undefined : answer.body)
}

export type SlowClientLimits = {
  readonly stallTimeoutMs: number
  readonly unsentAnswers: UnsentAnswers
}

/**
 * Ends the connection when the client is slow to take what was written: nothing for so long, or too much for all. Call after writing;
 * `memory` is what the answer holds, the bytes that wait where that is not known.
 */
export function cutWhenSlow(
  response: ServerResponse,
  limits: SlowClientLimits,
  memory: HeldMemory = { byteLength: response.writableLength },
): void {
  const { req, socket } = response
  // Mostly the kernel has taken all of it already. Node destroys the connection when time is up, and sets its own limit
  // for the next request.
  if (socket && socket.writableLength > 0) socket.setTimeout(limits.stallTimeoutMs)
  // Behind another answer it has no connection yet, and waits in the response.
  if (response.writableLength === 0) return
  limits.unsentAnswers.add(req.socket, response, memory)
  response.once('finish', () => limits.unsentAnswers.taken(req.socket, response))
}
