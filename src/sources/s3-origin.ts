import type { Readable } from 'node:stream'
import type * as Sdk from '@aws-sdk/client-s3'
import type { GetObjectCommandOutput, S3ClientConfig } from '@aws-sdk/client-s3'
import type { FetchLimits, S3OriginConfig } from '../config/config.ts'
import { AppError } from '../errors.ts'
import { withDeadline } from '../lib/deadline.ts'
import { assertDecodedPath } from './decode-path.ts'
import { fetchFailure } from './fetch-failure.ts'
import { lastModifiedValidator, originFreshness } from './origin-freshness.ts'
import { readBody } from './read-body.ts'
import type { FetchedOriginal, RemoteOrigin, Validators } from './remote-origin.ts'

export type S3OriginOptions = {
  readonly name: string
  readonly maxBytes: number
  readonly limits: FetchLimits
  readonly connections: number
  /** A 403 that may stand for a missing key was taken for one, because the credentials may not list the bucket. */
  readonly onDeniedAsAbsent: () => void
}

/** First try and two more, each with a longer wait; all within the total time. */
const maxAttempts = 3
/** S3's bound for a key. */
const maxKeyBytes = 1024
/** Whether the bucket may be listed changes with its policy, which happens seldom. */
const listableForMs = 60_000

/**
 * A bucket. Its endpoint was written by the operator and is trusted, so no address is refused here.
 * The SDK is loaded with the first fetch: it takes longer than all the rest of a start.
 */
export function createS3Origin(config: S3OriginConfig, options: S3OriginOptions): RemoteOrigin {
  const { name, limits, maxBytes } = options
  let loading: Promise<LoadedSdk> | undefined
  const load = () => (loading ??= loadSdk(config, options))
  let listable: { readonly value: boolean; readonly untilMs: number } | undefined

  /** Without the right to list, S3 answers 403 for keys that do not exist: only the bucket itself tells which it is. */
  async function isListable({ sdk, client }: LoadedSdk, signal: AbortSignal): Promise<boolean> {
    if (listable && listable.untilMs > Date.now()) return listable.value
    const head = client.send(new sdk.HeadBucketCommand({ Bucket: config.bucket }), { abortSignal: signal })
    const value = await head.then(
      () => true,
      (error: unknown) => {
        if (statusOf(error) === 403) return false
        throw error
      },
    )
    listable = { value, untilMs: Date.now() + listableForMs }
    return value
  }

  async function explain(error: unknown, loaded: LoadedSdk, signal: AbortSignal): Promise<FetchedOriginal> {
    if (signal.aborted) throw fetchFailure(error, 'head', signal)
    const code = nameOf(error)
    if (code === 'NoSuchKey' || code === 'KeyTooLongError') return { kind: 'absent' }
    // A wrong key or secret is the operator's to mend; it must not look like missing pictures.
    if (code === 'AccessDenied' || code === 'Forbidden') {
      if (await isListable(loaded, signal)) throw new AppError('source_denied', { cause: error })
      options.onDeniedAsAbsent()
      return { kind: 'absent' }
    }
    if (code === 'TimeoutError') throw new AppError('source_timeout', { cause: error })
    if (statusOf(error) === undefined) throw fetchFailure(error, 'head', signal)
    throw new AppError('source_failed', { cause: error, details: { reason: code } })
  }

  async function getObject(key: string, validators: Validators | undefined, signal: AbortSignal) {
    const loaded = await load()
    const command = new loaded.sdk.GetObjectCommand({ Bucket: config.bucket, Key: key, ...conditionsOf(validators) })
    let output: GetObjectCommandOutput
    try {
      output = await loaded.client.send(command, { abortSignal: signal })
    } catch (error) {
      if (statusOf(error) === 304 && validators) return unmodified(validators)
      return explain(error, loaded, signal)
    }
    const facts = {
      maxBytes,
      idleTimeoutMs: limits.idleTimeoutMs,
      encoding: output.ContentEncoding?.replace(/\s*aws-chunked\s*,?/i, ''),
      announcedBytes: output.ContentLength,
    }
    return modified(output, await readBody(output.Body as Readable, facts, signal), name)
  }

  return {
    name,
    async fetch(path, validators, signal) {
      assertDecodedPath(path)
      signal.throwIfAborted()
      const key = (config.prefix === '' ? '' : `${config.prefix}/`) + path.slice(1)
      if (path === '/' || Buffer.byteLength(key) > maxKeyBytes) return { kind: 'absent' }
      const bounded = withDeadline(signal, limits.totalTimeoutMs)
      try {
        return await getObject(key, validators, bounded)
      } catch (error) {
        throw signal.aborted ? fetchFailure(error, 'head', signal) : error
      }
    },
    async close() {
      const loaded = await loading?.catch(() => undefined)
      loaded?.client.destroy()
    },
  }
}

type LoadedSdk = { readonly sdk: typeof Sdk; readonly client: Sdk.S3Client }

async function loadSdk(config: S3OriginConfig, options: S3OriginOptions): Promise<LoadedSdk> {
  const sdk = await import('@aws-sdk/client-s3')
  const { limits } = options
  const region = config.region ?? (config.endpoint === undefined ? undefined : 'us-east-1')
  const settings: S3ClientConfig = {
    ...(region === undefined ? {} : { region }),
    ...(config.endpoint === undefined ? {} : { endpoint: config.endpoint }),
    ...(config.credentials === undefined ? {} : { credentials: credentialsOf(config.credentials) }),
    forcePathStyle: config.forcePathStyle,
    followRegionRedirects: true,
    maxAttempts,
    // Other stores than AWS know no CRC trailers.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: limits.connectTimeoutMs,
      requestTimeout: limits.firstByteTimeoutMs,
      throwOnRequestTimeout: true,
      httpAgent: { maxSockets: options.connections },
      httpsAgent: { maxSockets: options.connections },
    },
  }
  return { sdk, client: new sdk.S3Client(settings) }
}

function credentialsOf({ accessKeyId, secretAccessKey, sessionToken }: NonNullable<S3OriginConfig['credentials']>) {
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) }
}

function conditionsOf(validators: Validators | undefined): { IfNoneMatch?: string; IfModifiedSince?: Date } {
  if (validators?.etag !== undefined) return { IfNoneMatch: validators.etag }
  if (validators?.lastModified !== undefined) return { IfModifiedSince: new Date(validators.lastModified) }
  return {}
}

/** The SDK gives no headers with a 304: what was said before goes on. */
function unmodified(validators: Validators): FetchedOriginal {
  return { kind: 'unmodified', validators, freshSeconds: undefined }
}

function modified(output: GetObjectCommandOutput, bytes: Buffer, origin: string): FetchedOriginal {
  const headers = {
    etag: output.ETag,
    'last-modified': output.LastModified?.toUTCString(),
    'cache-control': output.CacheControl,
    expires: output.ExpiresString,
  }
  return {
    kind: 'modified',
    bytes,
    lastModifiedMs: output.LastModified?.getTime(),
    validators: { origin, etag: output.ETag, lastModified: lastModifiedValidator(headers, Date.now()) },
    freshSeconds: originFreshness(headers),
  }
}

function statusOf(error: unknown): number | undefined {
  const metadata = error instanceof Error && '$metadata' in error ? error.$metadata : undefined
  const status =
    typeof metadata === 'object' && metadata !== null && 'httpStatusCode' in metadata
      ? metadata.httpStatusCode
      : undefined
  return typeof status === 'number' ? status : undefined
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : ''
}
