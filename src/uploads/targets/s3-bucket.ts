import type * as Sdk from '@aws-sdk/client-s3'
import type { S3ClientConfig } from '@aws-sdk/client-s3'
import type { createPresignedPost } from '@aws-sdk/s3-presigned-post'
import type { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import type { S3TargetConfig } from '../../config/config.ts'
import { AppError } from '../../errors.ts'
import { withDeadline } from '../../lib/deadline.ts'
import { openOnce } from '../../lib/open-once.ts'
import { assertBlobKey } from './blob-key.ts'
import { abortReason, targetFailure, untilAborted } from './target-failure.ts'

export type S3TargetOptions = {
  /** Longest time of one call to the store, its retries included. */
  readonly timeoutMs: number
  /** Connections to the store. */
  readonly connections: number
}

/** The bucket, opened: the SDK and everything that knows names and deadlines. */
export type S3Bucket = {
  readonly sdk: typeof Sdk
  readonly client: Sdk.S3Client
  /** Signs what clients send, to where they reach the store. */
  readonly signer: Sdk.S3Client
  readonly signUrl: typeof getSignedUrl
  readonly signForm: typeof createPresignedPost
  /** Bucket and key as commands want them. Throws `bad_request` for what is no key. */
  readonly at: (key: string) => { readonly Bucket: string; readonly Key: string }
}

/** One call to the store, with its deadline. Fails with an AppError, behind which stands what the store said. */
export type CallBucket = <T>(
  signal: AbortSignal,
  work: (bucket: S3Bucket, within: { readonly abortSignal: AbortSignal }) => Promise<T>,
) => Promise<T>

/** First try and two more, each with a longer wait; all within the time of the call. */
const maxAttempts = 3
const connectTimeoutMs = 5000

/** The SDK is loaded with the first call: it takes longer than all the rest of a start. */
export function openS3Bucket(
  config: S3TargetConfig,
  options: S3TargetOptions,
): { readonly call: CallBucket; readonly close: () => Promise<void> } {
  const bucket = openOnce(
    () => loadBucket(config, options),
    () => new AppError('shutting_down'),
  )
  return {
    async call(signal, work) {
      if (signal.aborted) throw abortReason(signal)
      const within = withDeadline(signal, options.timeoutMs)
      try {
        const opened = await untilAborted(bucket.open(), within)
        return await untilAborted(work(opened, { abortSignal: within }), within)
      } catch (error) {
        throw signal.aborted ? abortReason(signal) : s3Failure(error, within)
      }
    },
    close: () =>
      bucket.close(({ client, signer }) => {
        client.destroy()
        signer.destroy()
      }),
  }
}

async function loadBucket(config: S3TargetConfig, options: S3TargetOptions): Promise<S3Bucket> {
  const [sdk, presigner, presignedPost] = await Promise.all([
    import('@aws-sdk/client-s3'),
    import('@aws-sdk/s3-request-presigner'),
    import('@aws-sdk/s3-presigned-post'),
  ])
  const settings = clientSettings(config, options)
  const client = new sdk.S3Client(settings)
  const { clientEndpoint: endpoint } = config
  // Credentials are asked for once: where they come from may be a request away.
  const { credentials } = client.config
  return {
    ...{ sdk, client },
    signer: endpoint === undefined ? client : new sdk.S3Client({ ...settings, endpoint, credentials }),
    signUrl: presigner.getSignedUrl,
    signForm: presignedPost.createPresignedPost,
    at: (key) => {
      assertBlobKey(key)
      return { Bucket: config.bucket, Key: keyPrefix(config) + key }
    },
  }
}

export function keyPrefix({ prefix }: Pick<S3TargetConfig, 'prefix'>): string {
  return prefix === '' ? '' : `${prefix}/`
}

function clientSettings(config: S3TargetConfig, { timeoutMs, connections }: S3TargetOptions): S3ClientConfig {
  const region = config.region ?? (config.endpoint === undefined ? undefined : 'us-east-1')
  const { credentials } = config
  return {
    ...(region === undefined ? {} : { region }),
    ...(config.endpoint === undefined ? {} : { endpoint: config.endpoint }),
    ...(credentials === undefined ? {} : { credentials: credentialsOf(credentials) }),
    forcePathStyle: config.forcePathStyle,
    followRegionRedirects: true,
    maxAttempts,
    // By default signed URLs would demand the checksum of an empty body, and other stores than AWS know no CRC trailers.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: connectTimeoutMs,
      requestTimeout: timeoutMs,
      throwOnRequestTimeout: true,
      httpAgent: { maxSockets: connections },
      httpsAgent: { maxSockets: connections },
    },
  }
}

function credentialsOf({ accessKeyId, secretAccessKey, sessionToken }: NonNullable<S3TargetConfig['credentials']>) {
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) }
}

function s3Failure(error: unknown, within: AbortSignal): Error {
  const isTimeout = error instanceof Error && error.name === 'TimeoutError' && !(error instanceof AppError)
  return isTimeout ? new AppError('target_timeout', { cause: error }) : targetFailure(error, within)
}

/** Whether the store says so: `NoSuchKey`, or without a body just 404. */
export function isAnswer(error: unknown, ...names: readonly string[]): boolean {
  return error instanceof Error && names.includes(error.name)
}
