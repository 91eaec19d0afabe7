import type { Readable } from 'node:stream'
import { Agent, request as send } from 'undici'
import type { FetchLimits } from '../config/config.ts'
import { AppError } from '../errors.ts'
import { withDeadline } from '../lib/deadline.ts'
import type { AddressBlock } from './address-guard.ts'
import { fetchFailure } from './fetch-failure.ts'
import { createGuardedConnector, type GuardedConnectorOptions } from './guarded-connector.ts'
import { readBody } from './read-body.ts'
import type { ResolveHost } from './resolve-host.ts'
import { assertFetchable, assertNoDowngrade, assertWebPort, parseSourceUrl, type OwnHosts } from './source-url.ts'

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
  const { limits, allowed } = options
  const agent = new Agent({
    connect: createGuardedConnector({
      allowed,
      connectTimeoutMs: limits.connectTimeoutMs,
      resolveHost: options.resolveHost,
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

  async function sendOne(url: URL, request: GuardedRequest, signal: AbortSignal) {
    const isFirstHost = url.origin === request.url.origin
    try {
      return await send(url, {
        dispatcher: agent,
        method: 'GET',
        headers: { ...request.headers, ...(isFirstHost ? request.privateHeaders : {}), via: `1.1 ${options.via}` },
        signal,
      })
    } catch (error) {
      throw fetchFailure(error, 'head', signal)
    }
  }

  async function follow(request: GuardedRequest, signal: AbortSignal): Promise<GuardedAnswer> {
    let url = request.url
    for (let redirects = 0; ; redirects += 1) {
      assertFetchable(url, options.ownHosts)
      request.assertAllowed(url)
      const { statusCode, headers: rawHeaders, body } = await sendOne(url, request, signal)
      const headers = plainHeaders(rawHeaders)
      const location = headers['location']
      if (!redirectStatuses.has(statusCode) || location === undefined)
        return finish({ statusCode, headers, body }, request, signal)
      discard(body)
      if (redirects >= limits.maxRedirects)
        throw new AppError('source_redirects', { details: { limit: limits.maxRedirects } })
      url = nextUrl(url, location, request)
    }
  }

  async function finish(
    answer: { statusCode: number; headers: Record<string, string>; body: Readable & { dump: DumpBody } },
    request: GuardedRequest,
    signal: AbortSignal,
  ): Promise<GuardedAnswer> {
    const { statusCode: status, headers, body } = answer
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

  return {
    async get(request, signal) {
      signal.throwIfAborted()
      const bounded = withDeadline(signal, limits.totalTimeoutMs)
      try {
        return await follow(request, bounded)
      } catch (error) {
        throw signal.aborted ? fetchFailure(error, 'head', signal) : error
      }
    },
    close: () => agent.destroy(),
  }
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
