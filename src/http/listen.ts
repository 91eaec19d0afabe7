import type { Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { AppError } from '../errors.ts'

/** Binds and resolves to the address; a taken or forbidden port is an error that names it and the setting. */
export function listen(
  server: Server,
  address: { readonly host: string; readonly port: number },
): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const where = `${address.host}:${address.port}`
      const mend =
        cause.code === 'EADDRINUSE'
          ? 'another program listens there; stop it or set PORT to a free one'
          : 'set HOST and PORT to an address this process may bind'
      reject(new AppError('internal', { detail: `Cannot listen on ${where} (${cause.code}): ${mend}.`, cause }))
    })
    server.listen(address.port, address.host, () => resolve(server.address() as AddressInfo))
  })
}

/** The open connections of a server, kept up to date; for `closeServer`. */
export function trackConnections(server: Server): ReadonlySet<Socket> {
  const connections = new Set<Socket>()
  server.on('connection', (socket) => {
    connections.add(socket)
    socket.once('close', () => connections.delete(socket))
  })
  return connections
}

/** Stops accepting, lets running answers finish, and cuts what is left after `timeoutMs`. */
export function closeServer(server: Server, timeoutMs: number, connections: ReadonlySet<Socket>): Promise<void> {
  return new Promise((resolve) => {
    if (!server.listening) return resolve()
    // What has not sent a byte yet (a browser's or a balancer's spare connection) counts as busy for Node.
    // A connection that was busy at close() stays open for its keep-alive time afterwards: sweep until all are gone.
    const sweep = setInterval(() => {
      server.closeIdleConnections()
      for (const socket of connections) if (socket.bytesRead === 0) socket.destroy()
    }, 50)
    const cut = setTimeout(() => server.closeAllConnections(), timeoutMs)
    server.close(() => {
      clearInterval(sweep)
      clearTimeout(cut)
      resolve()
    })
  })
}

/** The origin under which clients on this machine reach a server that is bound so. */
export function originOf(host: string, port: number): string {
  if (host === '0.0.0.0' || host === '::' || host === '127.0.0.1') return `http://localhost:${port}`
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}
