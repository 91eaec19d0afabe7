import type { ServerResponse } from 'node:http'
import type { ImageAnswer } from '../delivery/image-answer.ts'

/** Writes an answer; HEAD gets the same head and no body. */
export function sendImage(response: ServerResponse, answer: ImageAnswer, method: string): void {
  response.writeHead(answer.status, answer.headers.flat())
  response.end(method === 'HEAD' ? undefined : answer.body)
}
