import type { Response } from 'express'

export type ServerSentEvent = { readonly id: string; readonly event: string; readonly data: unknown }

// Below the idle limits of common proxies.
const heartbeatMs = 15_000

/** Writes events as they come (WHATWG HTML 9.2), until they end or the client goes away. */
export async function sendEvents(response: Response, events: AsyncIterable<ServerSentEvent>): Promise<void> {
  response.writeHead(200, {
    'Content-Type': 'text/event-stream',
    'Cache-Control': 'no-store',
    'X-Accel-Buffering': 'no',
    'X-Content-Type-Options': 'nosniff',
  })
  response.write('retry: 2000\n\n')
  const heartbeat = setInterval(() => response.write(': still here\n\n'), heartbeatMs)
  try {
    for await (const { id, event, data } of events) {
      response.write(`id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
    }
  } finally {
    clearInterval(heartbeat)
    response.end()
  }
}
