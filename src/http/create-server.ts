import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { DeliveryConfig, ServerConfig } from '../config/config.ts'
import type { DeliverImage } from '../delivery/deliver-image.ts'
import type { ImageAnswer } from '../delivery/image-answer.ts'
import { splitTarget, type RawRequest } from '../delivery/image-request.ts'
import { problemAnswer } from '../delivery/problem-response.ts'
import { AppError } from '../errors.ts'
import { splitHead } from '../delivery/ready-head.ts'
import { createLoopTurns, type LoopTurns } from '../lib/loop-turns.ts'
import { Server } from '../lib/node-http.ts'
import { takeConnections, type HitConnections } from './hit-connections.ts'
import { NodeExchange } from './node-exchange.ts'
import { readHitRequest } from './plain-request.ts'
import { bodyLimits } from './receive-body.ts'
import { createFreshIds, requestIdOf } from './request-id.ts'
import { cutWhenSlow, sendImage, type SlowClientLimits } from './send-image.ts'
import { serveHot, serveStored, type HitDeps, type WriteHit } from './serve-hit.ts'
import { createUnsentAnswers } from './unsent-answers.ts'

export type ServerDeps = Omit<HitDeps, 'freshId'> & {
  readonly server: ServerConfig
  readonly deliverImage: DeliverImage
  /** Express: everything under `/-/` and `/v1/`. */
  readonly pages: RequestListener
  readonly delivery: DeliveryConfig
  /** How this process names itself in `Via`: a request that carries it has come back to where it started. */
  readonly via: string
  /** False where no answers are kept ready: Node has all connections then. */
  readonly hasHits: boolean
  readonly onAnswered: (answered: AnsweredRequest) => void
  /** A client was too slow, and others wanted the memory that its answer took. */
  readonly onSlowClientCut: () => void
  /** An answer could not even be sent: a bug of ours. */
  readonly onBroken: (error: unknown, raw?: RawRequest) => void
}

export type AnsweredRequest = {
  readonly raw: RawRequest
  readonly answer: ImageAnswer
  readonly seconds: number
  /** The client went away before the answer was complete. */
  readonly aborted: boolean
}

// Room for a target of the longest allowed length beside a browser's usual headers; beyond it Node answers 431 by itself.
const headerRoomBytes = 16_384
const longestHeadMs = 20_000

// How long a refused connection may take to read why.
const refusalGraceMs = 1000

/** The listener: repeat hits are answered where they arrive, other image requests go to delivery, pages to express. */
export function createServer(deps: ServerDeps): Server {
  const { maxTargetLength, requestTimeoutMs, maxConnections, maxPipelined, maxUnsentBytes, stallTimeoutMs } =
    deps.server
  const slowClients = {
    stallTimeoutMs,
    unsentAnswers: createUnsentAnswers({ maxBytes: maxUnsentBytes, onCut: deps.onSlowClientCut }),
  }
  const parts = { ...deps, freshId: createFreshIds(), slowClients, turns: createLoopTurns() }
  const maxHeadBytes = maxTargetLength + headerRoomBytes
  const headersTimeout = Math.min(requestTimeoutMs, longestHeadMs)
  const server = new ImageServer(
    {
      maxHeaderSize: maxHeadBytes,
      // How long receiving a request may take, its body included: uploads have bounds of their own, all others `endSlowBody`.
      requestTimeout: bodyLimits.totalTimeoutMs,
      headersTimeout,
      connectionsCheckingInterval: 5000,
      // Above the idle timeout of common balancers (60 s), so that the balancer closes first and never meets a reset.
      keepAliveTimeout: 65_000,
      // A GET without a body then makes no stream events.
      optimizeEmptyRequests: true,
    },
    (request, response) => {
      // The rest of what was read with them still arrives.
      if (request.socket.destroyed) return
      if (answering(request.socket) > maxPipelined) return void request.socket.destroy()
      if (namesManyHosts(request)) return refuseManyHosts(response)
      if (request.socket instanceof NodeExchange) request.socket.returnAfter(response)
      if (isPage(request.url ?? '/')) answerPage(request, response, parts)
      else void answerHitOrImage(request, response, parts)
    },
  )
  server.maxConnections = maxConnections
  const answering = countAnswers(server)
  server.on('clientError', (error, socket) => refuseBrokenRequest(error, socket as Socket, answering(socket) > 0))
  if (deps.hasHits) {
    const onBroken = (error: unknown) => deps.onBroken(error)
    server.hits = takeConnections(server, { ...parts, maxHeadBytes, firstHeadTimeoutMs: headersTimeout, onBroken })
  }
  return server
}

/** Node's server, which at the end also lets go of the connections that Node does not have. */
class ImageServer extends Server {
  hits: HitConnections | undefined

  override closeIdleConnections(): void {
    super.closeIdleConnections()
    this.hits?.closeIdle()
  }

  override closeAllConnections(): void {
    super.closeAllConnections()
    this.hits?.closeAll()
  }
}

/** Whoever stands before this server may have read another one of them (RFC 9112 3.2). */
function namesManyHosts({ rawHeaders }: IncomingMessage): boolean {
  return rawHeaders.filter((text, index) => index % 2 === 0 && text.toLowerCase() === 'host').length > 1
}

function refuseManyHosts(response: ServerResponse): void {
  response.writeHead(400, { connection: 'close', 'cache-control': 'no-store', 'content-length': '0' }).end()
}

function isPage(target: string): boolean {
  return target === '/' || target.startsWith('/?') || target.startsWith('/-/') || target.startsWith('/v1/')
}

function answerPage(request: IncomingMessage, response: ServerResponse, deps: ServerParts): void {
  if (!takesFile(request)) endSlowBody(request, deps.server.requestTimeoutMs)
  // When all of it has been handed to the connection.
  response.once('prefinish', () => cutWhenSlow(response, deps.slowClients))
  deps.pages(request, response)
}

/** Where the body is a file, which takes as long as it takes. */
function takesFile({ url = '/', method, headers }: IncomingMessage): boolean {
  if (url.startsWith('/v1/blobs')) return method === 'PUT' || method === 'POST'
  const isForm = headers['content-type']?.toLowerCase().startsWith('multipart/form-data') === true
  return method === 'POST' && url.startsWith('/v1/images') && isForm
}

/** A body that is small anyway is here in time, or nobody waits for it. */
function endSlowBody(request: IncomingMessage, timeoutMs: number): void {
  const { headers } = request
  if (headers['content-length'] === undefined && headers['transfer-encoding'] === undefined) return
  const timer = setTimeout(() => request.complete || request.destroy(), timeoutMs)
  request.once('close', () => clearTimeout(timer))
}

/** What the server makes for itself. */
type ServerParts = ServerDeps & HitDeps & { readonly slowClients: SlowClientLimits; readonly turns: LoopTurns }

/** A request that Node has parsed may still be a hit. */
async function answerHitOrImage(request: IncomingMessage, response: ServerResponse, deps: ServerParts): Promise<void> {
  try {
    if (!(request.socket instanceof NodeExchange) && (await answerHit(request, response, deps))) return
  } catch (error) {
    deps.onBroken(error, readRawRequest(request))
    return void response.destroy()
  }
  await answerImage(request, response, deps)
}

async function answerHit(request: IncomingMessage, response: ServerResponse, deps: ServerParts): Promise<boolean> {
  const hitRequest = readHitRequest(request)
  const write: WriteHit = ({ status, lines, body }) => {
    response.writeHead(status, splitHead(lines))
    response.end(body)
    cutWhenSlow(response, deps.slowClients, body?.buffer)
  }
  if (serveHot(hitRequest, write, deps)) return true
  return (await serveStored(hitRequest, { write, isGone: () => response.destroyed }, deps)) ?? false
}

async function answerImage(request: IncomingMessage, response: ServerResponse, deps: ServerParts): Promise<void> {
  const startedMs = performance.now()
  const raw = readRawRequest(request)
  const patience = endOfPatience(response, deps.server.requestTimeoutMs)
  // A body on GET has no meaning here (RFC 9110 9.3.1); it is drained so that the connection can go on.
  endSlowBody(request, deps.server.requestTimeoutMs)
  request.resume()
  try {
    const refusal = refusalOf(request, deps.via)
    // A burst of misses is begun one by one: hits that have arrived with them are answered between.
    if (!refusal) await deps.turns.next(patience.signal)
    const answer = refusal ? refuse(raw, refusal, deps) : await deps.deliverImage(raw, patience.signal)
    const finished = () => {
      const seconds = (performance.now() - startedMs) / 1000
      deps.onAnswered({ raw, answer, seconds, aborted: !response.writableFinished })
    }
    if (response.destroyed) return finished()
    response.once('close', finished)
    sendImage(response, answer, raw.method)
    // A range holds all of its body.
    cutWhenSlow(response, deps.slowClients, answer.body?.buffer)
  } catch (error) {
    // Whatever goes wrong in the very last step harms this request alone.
    deps.onBroken(error, raw)
    response.destroy()
  } finally {
    patience.end()
  }
}

/** Aborts when the client goes away, or with an AppError when the request has lasted long enough. */
function endOfPatience(response: ServerResponse, timeoutMs: number): { signal: AbortSignal; end: () => void } {
  const patience = new AbortController()
  response.once('close', () => {
    if (!response.writableFinished) patience.abort(new Error('the client went away'))
  })
  const timer = setTimeout(() => patience.abort(new AppError('request_timeout', { details: { timeoutMs } })), timeoutMs)
  return { signal: patience.signal, end: () => clearTimeout(timer) }
}

function readRawRequest(request: IncomingMessage): RawRequest {
  const { headers } = request
  return {
    ...splitAbsoluteForm(request.url ?? '/', headers.host),
    id: requestIdOf(headers['x-request-id']),
    method: request.method ?? 'GET',
    accept: headers.accept,
    ifNoneMatch: headers['if-none-match'],
    ifModifiedSince: headers['if-modified-since'],
    range: headers.range,
    ifRange: typeof headers['if-range'] === 'string' ? headers['if-range'] : undefined,
  }
}

/** `GET http://host/path` names the host itself (RFC 9112 3.2.2); everything else is a path already. */
function splitAbsoluteForm(target: string, host: string | undefined): { target: string; host: string | undefined } {
  const [whole, authority] = /^https?:\/\/([^/?#]*)/i.exec(target) ?? []
  if (whole === undefined) return { target, host }
  const rest = target.slice(whole.length)
  return { host: authority, target: rest.startsWith('/') ? rest : `/${rest}` }
}

function refusalOf({ method = 'GET', headers }: IncomingMessage, via: string): AppError | undefined {
  if (method !== 'GET' && method !== 'HEAD')
    return new AppError('method_not_allowed', { detail: `Expected GET or HEAD, got ${method}.` })
  return headers.via?.includes(via) === true
    ? new AppError('source_loop', { detail: 'An original of this server leads back to it.' })
    : undefined
}

function refuse(raw: RawRequest, error: AppError, deps: ServerDeps): ImageAnswer {
  const instance = splitTarget(raw.target).rawPath
  return problemAnswer(error, {
    requestId: raw.id,
    instance,
    negotiated: false,
    isPrivate: false,
    delivery: deps.delivery,
  })
}

/** How many requests of a connection have not been answered yet. */
function countAnswers(server: Server): (connection: object) => number {
  const underWay = new WeakMap<object, number>()
  const change = (connection: object, by: number) => underWay.set(connection, (underWay.get(connection) ?? 0) + by)
  // Before they are answered.
  server.prependListener('request', ({ socket }, response) => {
    change(socket, 1)
    response.once('close', () => change(socket, -1))
  })
  return (connection) => underWay.get(connection) ?? 0
}

function refuseBrokenRequest(error: NodeJS.ErrnoException, socket: Socket, isAnswering: boolean): void {
  // Behind a request that is still being answered, a refusal would be taken for that answer.
  if (!socket.writable || error.code === 'ECONNRESET' || isAnswering) return void socket.destroy()
  const status = statusLines[error.code ?? ''] ?? '400 Bad Request'
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nCache-Control: no-store\r\nContent-Length: 0\r\n\r\n`)
  // A half-closed connection would hold its place for as long as the other side likes.
  setTimeout(() => socket.destroy(), refusalGraceMs).unref()
}

const statusLines: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
}
