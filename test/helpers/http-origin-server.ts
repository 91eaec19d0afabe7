import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

export type OriginServer = {
  readonly port: number
  /** `http://127.0.0.1:<port>` */
  readonly url: string
  /** Path and query of every request so far, in order. */
  readonly requests: { readonly url: string; readonly headers: IncomingMessage['headers'] }[]
  /** Connections accepted so far. */
  connections(): number
  /** Replaces what is answered. */
  answer(handler: Handler): void
  close(): Promise<void>
}

export type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** A local HTTP origin that answers as told, and counts. */
export async function startOriginServer(handler: Handler, host = '127.0.0.1'): Promise<OriginServer> {
  const requests: OriginServer['requests'] = []
  const sockets = new Set<Socket>()
  let current = handler
  let connections = 0
  const server: Server = createServer((request, response) => {
    requests.push({ url: request.url ?? '', headers: request.headers })
    current(request, response)
  })
  server.on('connection', (socket) => {
    connections += 1
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  const { port } = server.address() as AddressInfo
  return {
    port,
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    requests,
    connections: () => connections,
    answer: (next) => void (current = next),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}
