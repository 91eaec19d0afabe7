import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { NodeExchange } from './node-exchange.ts'
import { readPlainRequest } from './plain-request.ts'
import type { SlowClientLimits } from './send-image.ts'
import { serveHot, serveStored, type Hit, type HitDeps, type WriteHit } from './serve-hit.ts'

export type HitConnectionsDeps = HitDeps & {
  readonly slowClients: SlowClientLimits
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
  /** Cuts all that were not given away. */
  closeAll(): void
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
  const attended = new Set<Socket>()
  const keepAliveMs = server.keepAliveTimeout
  const connectionLines = createConnectionLines(keepAliveMs)
  server.on('connection', (socket) =>
    attend(socket, { ...deps, giveToNode, idle, attended, connectionLines, keepAliveMs }),
  )
  return {
    closeIdle() {
      for (const socket of idle) socket.destroy()
    },
    closeAll() {
      for (const socket of attended) socket.destroy()
    },
  }
}

type Deps = HitConnectionsDeps & {
  readonly giveToNode: (connection: Socket | NodeExchange) => void
  readonly idle: Set<Socket>
  readonly attended: Set<Socket>
  readonly connectionLines: () => string
  readonly keepAliveMs: number
}

/** A connection, and what is done on it: one thing at a time. */
type Line = {
  readonly socket: Socket
  readonly deps: Deps
  /** `answering`: a hit is being read or written. `lent`: Node has the exchange. */
  doing: 'nothing' | 'answering' | 'lent'
  exchange: NodeExchange | undefined
  /** What came while a hit was on its way out. The connection is paused while there is some, and so is the client that sends it. */
  waiting: Buffer[]
  /** The client has said all. */
  hasEnded: boolean
  /** Of a hit, more was written than the kernel has taken. */
  isBehind: boolean
  /** Made once, as a hit makes nothing that the one before could have left. */
  readonly write: WriteHit
  readonly isGone: () => boolean
  readonly onFlushed: () => void
  /** Takes our listeners off the connection. */
  readonly leave: () => void
}

function attend(socket: Socket, deps: Deps): void {
  const listeners = {
    data: (bytes: Buffer) => {
      try {
        hear(line, bytes)
      } catch (error) {
        fail(line, error)
      }
    },
    end: () => hearEnd(line),
    error: (error: Error) => void line.exchange?.destroy(error),
    timeout: () => runOutOfTime(line),
    close: () => forget(line),
  }
  const line: Line = {
    ...{ socket, deps, doing: 'nothing', exchange: undefined, waiting: [], hasEnded: false, isBehind: false },
    write: (hit) => writeHit(line, hit),
    isGone: () => socket.destroyed,
    onFlushed: () => {
      if (line.isBehind) catchUp(line)
      if (socket.timeout !== deps.keepAliveMs) socket.setTimeout(deps.keepAliveMs)
      goOn(line)
    },
    leave: () => {
      socket.off('data', listeners.data).off('end', listeners.end).off('error', listeners.error)
      socket.off('timeout', listeners.timeout).off('close', listeners.close)
    },
  }
  socket.on('data', listeners.data).on('end', listeners.end).on('error', listeners.error)
  socket.on('timeout', listeners.timeout).on('close', listeners.close)
  socket.setTimeout(deps.firstHeadTimeoutMs)
  deps.idle.add(socket)
  deps.attended.add(socket)
}

/** A bug of ours harms one connection. */
function fail({ socket, deps }: Line, error: unknown): void {
  deps.onBroken(error)
  socket.destroy()
}

function hear(line: Line, bytes: Buffer): void {
  if (line.exchange) line.exchange.receive(bytes, false)
  else if (line.doing === 'nothing') take(line, bytes)
  else {
    line.waiting.push(bytes)
    line.socket.pause()
  }
}

function hearEnd(line: Line): void {
  line.hasEnded = true
  if (line.exchange) line.exchange.receiveEnd()
  else if (line.doing === 'nothing') line.socket.end()
}

function runOutOfTime({ exchange, socket }: Line): void {
  // Node knows what to do with what it has; where it does not mind, nobody does.
  if (!exchange?.emit('timeout')) socket.destroy()
}

function forget({ deps, socket, exchange }: Line): void {
  deps.idle.delete(socket)
  deps.attended.delete(socket)
  exchange?.destroy()
}

function take(line: Line, bytes: Buffer): void {
  const { socket, deps } = line
  const request = readPlainRequest(bytes, deps.maxHeadBytes)
  if (request === undefined) return giveAway(line, bytes)
  line.doing = 'answering'
  deps.idle.delete(socket)
  if (serveHot(request, line.write, deps)) return
  const served = serveStored(request, line, deps)
  if (served === undefined) return lend(line, bytes)
  served
    .then((isServed) => isServed || socket.destroyed || lend(line, bytes))
    .catch((error: unknown) => fail(line, error))
}

function writeHit(line: Line, { status, lines, body }: Hit): void {
  const { socket, deps, onFlushed } = line
  const head = `${statusLines[status]}${lines}${deps.connectionLines()}`
  if (body === undefined) socket.write(head, 'latin1', onFlushed)
  else {
    socket.cork()
    socket.write(head, 'latin1')
    socket.write(body, onFlushed)
    socket.uncork()
  }
  // Mostly the kernel has taken all of it already.
  if (socket.writableLength === 0) return
  const { stallTimeoutMs, unsentAnswers } = deps.slowClients
  socket.setTimeout(stallTimeoutMs)
  if (body === undefined) return
  line.isBehind = true
  unsentAnswers.add(socket, socket, body.buffer)
}

/** The client has taken what it was slow to take. */
function catchUp(line: Line): void {
  line.isBehind = false
  line.deps.slowClients.unsentAnswers.taken(line.socket, line.socket)
}

/** An answer is out: what came meanwhile has its turn. Streams call this, so nothing may be thrown. */
function goOn(line: Line): void {
  const { socket, deps } = line
  if (socket.destroyed) return
  line.doing = 'nothing'
  line.exchange = undefined
  deps.idle.add(socket)
  const next = line.waiting.shift()
  if (next) {
    try {
      take(line, next)
    } catch (error) {
      fail(line, error)
    }
    return
  }
  if (socket.isPaused()) socket.resume()
  if (line.hasEnded) socket.end()
}

/** For one exchange. What waits belongs behind it, and whatever follows must not overtake that. */
function lend(line: Line, bytes: Buffer): void {
  const { socket, deps } = line
  // An answer may take longer than a client may be silent; Node sets its own limit when it is out.
  socket.setTimeout(0)
  const exchange = new NodeExchange(socket, () => goOn(line))
  line.doing = 'lent'
  line.exchange = exchange
  deps.giveToNode(exchange)
  exchange.receive(bytes, true)
  for (const next of line.waiting.splice(0)) exchange.receive(next, false)
}

/** For good, with all that was read of it. */
function giveAway({ socket, deps, waiting, leave }: Line, bytes: Buffer): void {
  deps.idle.delete(socket)
  deps.attended.delete(socket)
  leave()
  socket.setTimeout(0)
  socket.unshift(waiting.length > 0 ? Buffer.concat([bytes, ...waiting]) : bytes)
  deps.giveToNode(socket)
  if (socket.isPaused()) socket.resume()
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
