import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { NodeExchange } from './node-exchange.ts'
import { readPlainRequest, type HitRequest } from './plain-request.ts'
import { serveHot, serveStored, type Hit, type HitDeps } from './serve-hit.ts'

export type HitConnectionsDeps = HitDeps & {
  readonly freshId: () => string
  /** Longer heads are for Node to refuse. */
  readonly maxHeadBytes: number
  /** How long a new connection may say nothing. */
  readonly firstHeadTimeoutMs: number
  /** A bug of ours: the connection is cut. */
  readonly onBroken: (error: unknown) => void
}

export interface HitConnections {
  /** Cuts the connections on which nothing is being answered. Those that Node has are Node's to close. */
  closeIdle(): void
}

/**
 * Answers repeat hits on the connection itself. Node's HTTP makes a parser, two streams and a dozen events of every request, which
 * cost more than all the rest of a hit; so a request that is all there is in what was just read, in its plainest form, and is known to
 * the hot lane, is answered without it. Everything else goes to Node as it came:
 * - a plain request that is no hit, for one exchange (`NodeExchange`); then the connection comes back;
 * - whatever could be read in more than one way, or in part, for good.
 */
export function takeConnections(server: Server, deps: HitConnectionsDeps): HitConnections {
  const nodeListeners = server.listeners('connection') as ((socket: Socket | NodeExchange) => void)[]
  server.removeAllListeners('connection')
  const giveToNode = (connection: Socket | NodeExchange) => {
    for (const listener of nodeListeners) listener.call(server, connection)
  }
  const idle = new Set<Socket>()
  const connectionLines = createConnectionLines(server.keepAliveTimeout)
  server.on('connection', (socket) => attend(socket, { ...deps, giveToNode, idle, connectionLines }, server))
  return {
    closeIdle() {
      for (const socket of idle) socket.destroy()
    },
  }
}

type Deps = HitConnectionsDeps & {
  readonly giveToNode: (connection: Socket | NodeExchange) => void
  readonly idle: Set<Socket>
  readonly connectionLines: () => string
}

function attend(socket: Socket, deps: Deps, { keepAliveTimeout }: Server): void {
  const { idle, giveToNode } = deps
  // One thing at a time: what comes while a hit is on its way out waits, and so does the client that sends it.
  let isAnswering = false
  let exchange: NodeExchange | undefined
  const waiting: Buffer[] = []

  const beIdle = () => {
    isAnswering = false
    exchange = undefined
    idle.add(socket)
    const next = waiting.shift()
    if (next) take(next)
    else if (socket.isPaused()) socket.resume()
  }
  const onFlushed = () => {
    if (socket.timeout !== keepAliveTimeout) socket.setTimeout(keepAliveTimeout)
    beIdle()
  }
  const write = ({ status, lines, body }: Hit) => {
    const head = `${statusLines[status]}${lines}${deps.connectionLines()}`
    if (body === undefined) socket.write(head, 'latin1', onFlushed)
    else {
      socket.cork()
      socket.write(head, 'latin1')
      socket.write(body, onFlushed)
      socket.uncork()
    }
    // Mostly the kernel has taken all of it already.
    if (socket.writableLength > 0) socket.setTimeout(deps.server.stallTimeoutMs)
  }
  const stored = { write, isGone: () => socket.destroyed }

  const lend = (bytes: Buffer) => {
    // An answer may take longer than a client may be silent; Node sets its own limit when it is out.
    socket.setTimeout(0)
    exchange = new NodeExchange(socket, beIdle)
    giveToNode(exchange)
    exchange.receive(bytes, true)
  }
  const giveAway = (bytes: Buffer) => {
    idle.delete(socket)
    socket.off('data', onData).off('end', onEnd).off('error', onError).off('timeout', onTimeout).off('close', onClose)
    socket.setTimeout(0)
    socket.unshift(waiting.length > 0 ? Buffer.concat([bytes, ...waiting]) : bytes)
    giveToNode(socket)
  }
  const answer = (request: HitRequest, bytes: Buffer) => {
    isAnswering = true
    idle.delete(socket)
    if (serveHot(request, write, deps)) return
    const isServed = serveStored(request, stored, deps)
    if (isServed === undefined) return lend(bytes)
    isServed.then(
      (done) => done || socket.destroyed || lend(bytes),
      (error: unknown) => onBug(error),
    )
  }
  const take = (bytes: Buffer) => {
    const request = readPlainRequest(bytes, deps.maxHeadBytes)
    if (request === undefined) giveAway(bytes)
    else answer(request, bytes)
  }
  const onBug = (error: unknown) => {
    deps.onBroken(error)
    socket.destroy()
  }
  const onData = (bytes: Buffer) => {
    try {
      if (exchange) exchange.receive(bytes, false)
      else if (isAnswering) {
        waiting.push(bytes)
        socket.pause()
      } else take(bytes)
    } catch (error) {
      onBug(error)
    }
  }
  const onEnd = () => {
    if (exchange) exchange.receiveEnd()
    else socket.end()
  }
  const onError = (error: Error) => void exchange?.destroy(error)
  const onTimeout = () => {
    // Node knows what to do with the connections it has; where it does not mind, nobody does.
    if (!exchange || !exchange.emit('timeout')) socket.destroy()
  }
  const onClose = () => {
    idle.delete(socket)
    exchange?.destroy()
  }

  socket.on('data', onData).on('end', onEnd).on('error', onError).on('timeout', onTimeout).on('close', onClose)
  socket.setTimeout(deps.firstHeadTimeoutMs)
  idle.add(socket)
}

const statusLines = { 200: 'HTTP/1.1 200 OK\r\n', 304: 'HTTP/1.1 304 Not Modified\r\n' } as const

/** What Node adds to each answer of a connection that stays open, and the end of the head; made anew each second. */
function createConnectionLines(keepAliveTimeoutMs: number): () => string {
  let second = 0
  let lines = ''
  return () => {
    const nowMs = Date.now()
    const now = Math.floor(nowMs / 1000)
    if (now !== second) {
      second = now
      lines = `Date: ${new Date(nowMs).toUTCString()}\r\nConnection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(keepAliveTimeoutMs / 1000)}\r\n\r\n`
    }
    return lines
  }
}
