import type { Readable } from 'node:stream'
import type * as Sdk from '@aws-sdk/client-s3'
import type { GetObjectCommandOutput, S3ClientConfig } from '@aws-sdk/client-s3'
import type { FetchLimits, S3OriginConfig } from '../config/config.ts'
import { AppError } from '../errors.ts'
import { withDeadline } from '../lib/deadline.ts'
import { openOnce } from '../lib/open-once.ts'
import { assertDecodedPath } from './decode-path.ts'
import { fetchFailure } from './fetch-failure.ts'
import { lastModifiedValidator, originFreshness } from './origin-freshness.ts'
import { readBody } from './read-body.ts'
import type { FetchedOriginal, RemoteOrigin, Validators } from './remote-origin.ts'
import { abortError, untilAborted } from './until-aborted.ts'

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
  const bucket = openOnce(
    () => openBucket(config, options),
    () => new AppError('shutting_down'),
  )
  return {
    name: options.name,
    async fetch(path, validators, signal) {
      assertDecodedPath(path)
      if (signal.aborted) throw abortError(signal)
      const key = (config.prefix === '' ? '' : `${config.prefix}/`) + path.slice(1)
      if (path === '/' || Buffer.byteLength(key) > maxKeyBytes) return { kind: 'absent' }
      const bounded = withDeadline(signal, options.limits.totalTimeoutMs)
      try {
        return await getObject(await untilAborted(bucket.open(), bounded), { key, validators }, options, bounded)
      } catch (error) {
        throw signal.aborted ? abortError(signal) : error
      }
    },
    close: () => bucket.close(({ client }) => client.destroy()),
  }
}

async function getObject(
  bucket: Bucket,
  wanted: { readonly key: string; readonly validators: Validators | undefined },
  options: S3OriginOptions,
  signal: AbortSignal,
): Promise<FetchedOriginal> {
  const { key, validators } = wanted
  let output: GetObjectCommandOutput
  try {
    const command = new bucket.sdk.GetObjectCommand({ Bucket: bucket.name, Key: key, ...conditionsOf(validators) })
    output = await bucket.client.send(command, { abortSignal: signal })
  } catch (error) {
    if (statusOf(error) === 304 && validators) return unmodified(validators)
    return explainFailure(error, bucket, options, signal)
  }
  const facts = {
    maxBytes: options.maxBytes,
    idleTimeoutMs: options.limits.idleTimeoutMs,
    // Some stores keep the framing of a streamed upload among the codings.
    encoding: output.ContentEncoding?.replace(/\s*aws-chunked\s*,?/i, ''),
    announcedBytes: output.ContentLength,
  }
  return modified(output, await readBody(output.Body as Readable, facts, signal), options.name)
}

/** Absence as a value, everything else thrown. A wrong secret is the operator's to mend: it must not look like missing pictures. */
async function explainFailure(
  error: unknown,
  bucket: Bucket,
  options: S3OriginOptions,
  signal: AbortSignal,
): Promise<FetchedOriginal> {
  if (signal.aborted) throw abortError(signal)
  const code = error instanceof Error ? error.name : ''
  if (code === 'NoSuchKey' || code === 'KeyTooLongError') return { kind: 'absent' }
  if (code === 'AccessDenied' || code === 'Forbidden') {
    if (await bucket.isListable(signal)) throw new AppError('source_denied', { cause: error })
    options.onDeniedAsAbsent()
    return { kind: 'absent' }
  }
  if (code === 'TimeoutError') throw new AppError('source_timeout', { cause: error })
  if (statusOf(error) === undefined) throw fetchFailure(error, 'head', signal)
  throw new AppError('source_failed', { cause: error, details: { reason: code } })
}

type Bucket = {
  readonly name: string
  readonly sdk: typeof Sdk
  readonly client: Sdk.S3Client
  /** Without the right to list, S3 answers 403 for keys that do not exist: only the bucket itself tells which it is. */
  readonly isListable: (signal: AbortSignal) => Promise<boolean>
}

async function openBucket(config: S3OriginConfig, options: S3OriginOptions): Promise<Bucket> {
  const sdk = await import('@aws-sdk/client-s3')
  const client = new sdk.S3Client(clientSettings(config, options))
  let known: { readonly isListable: boolean; readonly untilMs: number } | undefined
  return {
    ...{ name: config.bucket, sdk, client },
    async isListable(signal) {
      if (known && known.untilMs > Date.now()) return known.isListable
      const isListable = await canSee(
        client.send(new sdk.HeadBucketCommand({ Bucket: config.bucket }), { abortSignal: signal }),
      )
      known = { isListable, untilMs: Date.now() + listableForMs }
      return isListable
    },
  }
}

async function canSee(head: Promise<unknown>): Promise<boolean> {
  try {
    await head
    return true
  } catch (error) {
    if (statusOf(error) === 403) return false
    throw new AppError('source_failed', { cause: error })
  }
}

function clientSettings(config: S3OriginConfig, { limits, connections }: S3OriginOptions): S3ClientConfig {
  const region = config.region ?? (config.endpoint === undefined ? undefined : 'us-east-1')
  return {
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
      httpAgent: { maxSockets: connections },
      httpsAgent: { maxSockets: connections },
    },
  }
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
