import type { Response } from 'express'

export type ServerSentEvent = { readonly id: string; readonly event: string; readonly data: unknown }

// Below the idle limits of common proxies.
const heartbeatMs = 15_000

/** Far more than anybody is behind who reads. */
const maxUnsentBytes = 1024 * 1024

/** Writes events as they come (WHATWG HTML 9.2), until they end, the client goes away, or does not read them. */
export async function sendEvents(response: Response, events: AsyncIterable<ServerSentEvent>): Promise<void> {
  response.writeHead(200, {
    'Content-Type': 'text/event-stream',
    'Cache-Control': 'no-store',
    'X-Accel-Buffering': 'no',
    'X-Content-Type-Options': 'nosniff',
  })
  const write = (text: string) => {
    if (!response.destroyed) response.write(text)
    if (response.writableLength > maxUnsentBytes) response.destroy()
  }
  write('retry: 2000\n\n')
  const heartbeat = setInterval(() => write(': still here\n\n'), heartbeatMs)
  try {
    for await (const { id, event, data } of events) {
      write(`id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
    }
  } finally {
    clearInterval(heartbeat)
    response.end()
  }
}
