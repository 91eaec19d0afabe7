import type { ServerResponse } from 'node:http'
import type { ImageAnswer } from '../delivery/image-answer.ts'

/** Writes an answer; HEAD gets the same head and no body. */
export function sendImage(response: ServerResponse, answer: ImageAnswer, method: string): void {
  response.writeHead(answer.status, answer.headers.flat())
  response.end(method === 'HEAD' ? undefined : answer.body)
}

/** Ends the connection when the client takes nothing of what was written for so long. Call after writing. */
export function cutWhenStalled({ socket }: ServerResponse, stallTimeoutMs: number): void {
  // Mostly the kernel has taken all of it already. Node destroys the connection when time is up, and sets its own limit
  // for the next request.
  if (socket && socket.writableLength > 0) socket.setTimeout(stallTimeoutMs)
}
