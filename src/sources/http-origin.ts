import type { HttpOriginConfig, WebOriginConfig } from '../config/config.ts'
import { AppError } from '../errors.ts'
import { assertDecodedPath } from './decode-path.ts'
import type { GuardedAnswer, GuardedClient } from './guarded-client.ts'
import { lastModifiedValidator, originFreshness } from './origin-freshness.ts'
import type { FetchedOriginal, RemoteOrigin, Validators } from './remote-origin.ts'
import { assertListedHost, assertWebPort, parseSourceUrl } from './source-url.ts'

export type HttpOriginOptions = {
  readonly name: string
  readonly client: GuardedClient
  readonly maxBytes: number
}

/** Compression only costs a picture time, and some servers lose the length over it. */
const plainHeaders = { accept: 'image/*,*/*;q=0.8', 'accept-encoding': 'identity', 'user-agent': 'halftone' }

const absentStatuses = new Set([404, 410])
const deniedStatuses = new Set([401, 402, 403, 407, 451])

/** A host: the path is put below the base URL, segment by segment, and has no query. */
export function createHttpOrigin(config: HttpOriginConfig, options: HttpOriginOptions): RemoteOrigin {
  const privateHeaders = config.authorization === undefined ? {} : { authorization: config.authorization }
  return {
    name: options.name,
    async fetch(path, validators, signal) {
      assertDecodedPath(path)
      const url = parseSourceUrl(config.url + path.split('/').map(encodeURIComponent).join('/'))
      return fetchUrl({ url, privateHeaders, assertAllowed: () => {} }, validators, options, signal)
    },
    close: () => options.client.close(),
  }
}

/** The web: the path is the whole URL, as `web-path.ts` made it. Hosts are held to the list on every hop. */
export function createWebOrigin(config: WebOriginConfig, options: HttpOriginOptions): RemoteOrigin {
  const assertAllowed = (url: URL) => {
    assertListedHost(url, config.allowHosts)
    assertWebPort(url)
  }
  return {
    name: options.name,
    async fetch(path, validators, signal) {
      return fetchUrl({ url: parseSourceUrl(path), privateHeaders: {}, assertAllowed }, validators, options, signal)
    },
    close: () => options.client.close(),
  }
}

type Wanted = {
  readonly url: URL
  readonly privateHeaders: Readonly<Record<string, string>>
  readonly assertAllowed: (url: URL) => void
}

async function fetchUrl(
  wanted: Wanted,
  validators: Validators | undefined,
  { name, client, maxBytes }: HttpOriginOptions,
  signal: AbortSignal,
): Promise<FetchedOriginal> {
  const headers = { ...plainHeaders, ...conditionalHeaders(validators) }
  const answer = await client.get({ ...wanted, headers, maxBytes }, signal)
  if (answer.status === 304 && validators) return unmodified(answer, validators)
  if (answer.status === 200 || answer.status === 203) return modified(answer, name)
  if (absentStatuses.has(answer.status)) return { kind: 'absent' }
  const details = { originStatus: answer.status }
  if (deniedStatuses.has(answer.status)) throw new AppError('source_denied', { details })
  throw new AppError('source_failed', { details })
}

function conditionalHeaders(validators: Validators | undefined): Record<string, string> {
  if (validators?.etag !== undefined) return { 'if-none-match': validators.etag }
  if (validators?.lastModified !== undefined) return { 'if-modified-since': validators.lastModified }
  return {}
}

function unmodified({ headers }: GuardedAnswer, validators: Validators): FetchedOriginal {
  const etag = headers['etag'] ?? validators.etag
  return { kind: 'unmodified', validators: { ...validators, etag }, freshSeconds: originFreshness(headers) }
}

function modified({ headers, body }: GuardedAnswer, origin: string): FetchedOriginal {
  const lastModifiedMs = Date.parse(headers['last-modified'] ?? '')
  return {
    kind: 'modified',
    bytes: body,
    lastModifiedMs: Number.isNaN(lastModifiedMs) ? undefined : lastModifiedMs,
    validators: { origin, etag: headers['etag'], lastModified: lastModifiedValidator(headers, Date.now()) },
    freshSeconds: originFreshness(headers),
  }
}
