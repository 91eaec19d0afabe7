import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { HotHeads } from '../delivery/hot-lane.ts'

declare module 'node:http' {
  interface OutgoingMessage {
    /** Node's own: writes the status line and the fields, and decides on framing and on the end of the connection. */
    _storeHeader(statusLine: string, fields: unknown): void
  }
}

/**
 * A response that can put lines which are ready behind its status line. Checking and joining twenty fields anew takes a
 * fifth of a hit. All else (framing, date, keep-alive, the order of pipelined answers) stays with Node. This leans on one
 * method of Node that is not documented, so `createHeadWriter` asks first whether it still does what it did.
 */
export class ReadyResponse<Request extends IncomingMessage = IncomingMessage> extends ServerResponse<Request> {
  readyLines = ''

  override _storeHeader(statusLine: string, fields: unknown): void {
    super._storeHeader(statusLine + this.readyLines, fields)
  }
}

/** Writes the head that goes with the status. */
export type WriteHotHead = (response: ReadyResponse, status: 200 | 304, heads: HotHeads, requestId: string) => void

/** The short way where Node allows it, `writeHead` with the whole list where not. */
export function createHeadWriter(allowed = takesReadyLines()): WriteHotHead {
  if (!allowed)
    return (response, status, { head, notModifiedHead }, requestId) => {
      const list = status === 304 ? notModifiedHead : head
      list[list.length - 1] = requestId
      response.writeHead(status, list)
    }
  return (response, status, { readyHead, readyNotModifiedHead }, requestId) => {
    const ready = status === 304 ? readyNotModifiedHead : readyHead
    response.readyLines = `${ready.lines}X-Request-Id: ${requestId}\r\n`
    response.writeHead(status, ready.framing)
  }
}

/** Whether this Node writes the lines where they belong, and nothing else than without them. */
export function takesReadyLines(): boolean {
  try {
    const head = (readyLines: string): unknown => {
      const response = new ReadyResponse(new IncomingMessage(new Socket()))
      response.sendDate = false
      response.readyLines = readyLines
      response.writeHead(200, ['Content-Length', '0'])
      return Reflect.get(response, '_header')
    }
    const [plain, ready] = [head(''), head('X-Ready: yes\r\n')]
    return typeof plain === 'string' && ready === plain.replace('\r\n', '\r\nX-Ready: yes\r\n') && plain !== ready
  } catch {
    return false
  }
}
