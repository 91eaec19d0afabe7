import type { Readable } from 'node:stream'
import type { Agent, request } from 'undici'
import type { FetchLimits } from '../config/config.ts'
import { AppError } from '../errors.ts'
import { withDeadline } from '../lib/deadline.ts'
import { openOnce } from '../lib/open-once.ts'
import type { AddressBlock } from './address-guard.ts'
import { fetchFailure } from './fetch-failure.ts'
import type { GuardedConnectorOptions } from './guarded-connector.ts'
import { readBody } from './read-body.ts'
import type { ResolveHost } from './resolve-host.ts'
import { assertFetchable, assertNoDowngrade, assertWebPort, parseSourceUrl, type OwnHosts } from './source-url.ts'
import { abortError, untilAborted } from './until-aborted.ts'

export type GuardedClientOptions = {
  readonly limits: FetchLimits
  readonly allowed: readonly AddressBlock[]
  readonly ownHosts: OwnHosts
  /** Names this process in `Via`, so that a request that comes back to it is recognised (RFC 9110 7.6.3). */
  readonly via: string
  /** Connections to one host. */
  readonly connections: number
  readonly resolveHost: ResolveHost
  readonly onRefused?: NonNullable<GuardedConnectorOptions['onRefused']>
}

export type GuardedRequest = {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  /** Go to the host of `url` only, never along a redirect to another. */
  readonly privateHeaders: Readonly<Record<string, string>>
  readonly maxBytes: number
  /** Called for every URL before anything is sent; throws to refuse. */
  readonly assertAllowed: (url: URL) => void
}

/** Sent once, to this URL and no other. */
export type GuardedPost = {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** Of the answer. */
  readonly maxBytes: number
}

/** `body` is empty unless the status is 200 or 203; header names are in lower case. */
export type GuardedAnswer = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

/**
 * The one door to the network. Every hop passes scheme, host and address checks; nothing is done that was not asked for:
 * no proxies from the environment, no cookies, no redirects or decompression behind our back.
 * Throws `source_*` errors; an abort rejects with its reason, a deadline as `source_timeout`.
 */
export interface GuardedClient {
  get(request: GuardedRequest, signal: AbortSignal): Promise<GuardedAnswer>
  /** A redirect is an answer like any other: what is posted goes where it was meant to go. */
  post(request: GuardedPost, signal: AbortSignal): Promise<GuardedAnswer>
  /** Loads what the first request needs, for who is going to send one: 0.2 s in which nothing else is answered. */
  prepare(): void
  close(): Promise<void>
}

const redirectStatuses = new Set([301, 302, 303, 307, 308])
const bodyStatuses = new Set([200, 203])
/** A small body nobody wants is read to the end, so that the connection can be used again. */
const dumpBytes = 64 * 1024
const dumpTimeoutMs = 1000
const maxHeaderBytes = 16 * 1024
const keepAliveMs = 15_000

export function createGuardedClient(options: GuardedClientOptions): GuardedClient {
  const wire = openOnce(
    () =>
      openWire(options).catch((cause: unknown) => {
        // No descriptor was free, say.
        throw new AppError('source_failed', { detail: 'The client could not be loaded.', cause })
      }),
    () => new AppError('shutting_down'),
  )
  const within = async (signal: AbortSignal, work: (opened: Wire, bounded: AbortSignal) => Promise<GuardedAnswer>) => {
    if (signal.aborted) throw abortError(signal)
    try {
      const bounded = withDeadline(signal, options.limits.totalTimeoutMs)
      return await work(await untilAborted(wire.open(), bounded), bounded)
    } catch (error) {
      throw signal.aborted ? abortError(signal) : error
    }
  }
  return {
    get: (request, signal) => within(signal, (opened, bounded) => follow(request, opened, options, bounded)),
    post: (request, signal) => within(signal, (opened, bounded) => postOnce(request, opened, options, bounded)),
    prepare: () => void wire.open().catch(() => undefined),
    close: () => wire.close(({ agent }) => agent.destroy()),
  }
}

type Wire = { readonly send: typeof request; readonly agent: Agent; readonly via: string }

/** undici is not loaded before something is to be fetched: a folder's server does without its memory and the time it takes at start. */
async function openWire(options: GuardedClientOptions): Promise<Wire> {
  const [{ Agent, request: send }, { createGuardedConnector }] = await Promise.all([
    import('undici'),
    import('./guarded-connector.ts'),
  ])
  const { limits, allowed, resolveHost, via } = options
  const agent = new Agent({
    connect: createGuardedConnector({
      ...{ allowed, resolveHost, connectTimeoutMs: limits.connectTimeoutMs },
      ...(options.onRefused ? { onRefused: options.onRefused } : {}),
    }),
    connections: options.connections,
    pipelining: 1,
    allowH2: false,
    keepAliveTimeout: keepAliveMs,
    keepAliveMaxTimeout: keepAliveMs,
    headersTimeout: limits.firstByteTimeoutMs,
    // Counted by readBody, exactly; undici's own clock ticks in half seconds.
    bodyTimeout: 0,
    maxHeaderSize: maxHeaderBytes,
  })
  return { send, agent, via }
}

/** Hop by hop: each URL is checked before anything is sent to it. */
async function follow(
  request: GuardedRequest,
  wire: Wire,
  options: GuardedClientOptions,
  signal: AbortSignal,
): Promise<GuardedAnswer> {
  const { maxRedirects } = options.limits
  let url = request.url
  for (let redirects = 0; ; redirects += 1) {
    assertFetchable(url, options.ownHosts)
    request.assertAllowed(url)
    const own = url.origin === request.url.origin ? request.privateHeaders : {}
    const call = { method: 'GET', headers: { ...request.headers, ...own } } as const
    const answer = await sendOne(url, call, wire, signal)
    const location = answer.headers['location']
    if (!redirectStatuses.has(answer.status) || location === undefined) return finish(answer, request, options, signal)
    discard(answer.body)
    if (redirects >= maxRedirects) throw new AppError('source_redirects', { details: { limit: maxRedirects } })
    url = nextUrl(url, location, request)
  }
}

async function postOnce(
  request: GuardedPost,
  wire: Wire,
  options: GuardedClientOptions,
  signal: AbortSignal,
): Promise<GuardedAnswer> {
  const { url, headers, body } = request
  assertFetchable(url, options.ownHosts)
  const answer = await sendOne(url, { method: 'POST', headers, body }, wire, signal)
  return finish(answer, request, options, signal)
}

type Call = {
  readonly method: 'GET' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

type OpenAnswer = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Readable & { readonly dump: DumpBody }
}

async function sendOne(url: URL, call: Call, { send, agent, via }: Wire, signal: AbortSignal): Promise<OpenAnswer> {
  try {
    const { statusCode, headers, body } = await send(url, {
      ...call,
      dispatcher: agent,
      headers: { ...call.headers, via: `1.1 ${via}` },
      signal,
    })
    return { status: statusCode, headers: plainHeaders(headers), body }
  } catch (error) {
    throw fetchFailure(error, 'head', signal)
  }
}

async function finish(
  { status, headers, body }: OpenAnswer,
  request: Pick<GuardedRequest, 'maxBytes'>,
  { limits }: GuardedClientOptions,
  signal: AbortSignal,
): Promise<GuardedAnswer> {
  if (!bodyStatuses.has(status)) {
    discard(body)
    return { status, headers, body: Buffer.alloc(0) }
  }
  const facts = {
    maxBytes: request.maxBytes,
    idleTimeoutMs: limits.idleTimeoutMs,
    encoding: headers['content-encoding'],
    announcedBytes: announcedBytes(headers['content-length']),
  }
  return { status, headers, body: await readBody(body, facts, signal) }
}

type DumpBody = (options: { limit: number; signal: AbortSignal }) => Promise<void>

function discard(body: Readable & { dump: DumpBody }): void {
  body.dump({ limit: dumpBytes, signal: AbortSignal.timeout(dumpTimeoutMs) }).catch(() => undefined)
}

function nextUrl(from: URL, location: string, request: GuardedRequest): URL {
  const to = parseSourceUrl(location, from)
  assertNoDowngrade(from, to)
  if (to.origin !== request.url.origin) assertWebPort(to)
  return to
}

/** A repeated header counts by its first value: lists that matter here (Cache-Control) are joined as RFC 9110 5.3 says. */
function plainHeaders(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => {
      if (value === undefined) return []
      return [[name.toLowerCase(), typeof value === 'string' ? value : value.join(', ')]]
    }),
  )
}

function announcedBytes(contentLength: string | undefined): number | undefined {
  return contentLength !== undefined && /^\d{1,15}$/.test(contentLength) ? Number(contentLength) : undefined
}
