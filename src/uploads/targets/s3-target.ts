import type { HeadObjectCommandOutput } from '@aws-sdk/client-s3'
import type { S3TargetConfig } from '../../config/config.ts'
import { AppError } from '../../errors.ts'
import { isBlobKey } from './blob-key.ts'
import { missingInCors, type CorsRule } from './bucket-cors.ts'
import { isAnswer, keyPrefix, openS3Bucket, type CallBucket, type S3TargetOptions } from './s3-bucket.ts'
import { hashS3Object, readS3Object, writeS3Object, writeS3Stream } from './s3-objects.ts'
import { abortS3Parts, causeOf, completeS3Parts, headS3Object, listOpenS3Parts, startS3Parts } from './s3-parts.ts'
import { signS3Form, signS3Part, signS3Put } from './s3-signing.ts'
import type { StoredObject, UploadTarget } from './upload-target.ts'

/** A bucket that clients write into directly. */
export type S3Target = UploadTarget & {
  /** What keeps pages of these origins from uploading, one sentence each; empty when nothing does. */
  checkCors(origins: readonly string[], signal: AbortSignal): Promise<readonly string[]>
}

const pageSize = 1000

/** A bucket of AWS or of any store that speaks its language. The SDK is loaded with the first call. */
export function createS3Target(config: S3TargetConfig, options: S3TargetOptions): S3Target {
  const { call, close } = openS3Bucket(config, options)
  // Only AWS is known to hold clients to a SHA-256; elsewhere the header is signed, and may be ignored.
  const capabilities = { presignedPost: config.presignedPost, parts: true, checksums: config.endpoint === undefined }
  return {
    name: 's3',
    capabilities,
    signPut: (permission, signal) => call(signal, (bucket) => signS3Put(bucket, permission)),
    async signPost(permission, signal) {
      if (!config.presignedPost) throw new AppError('bad_request', { detail: 'This store takes no uploads by form.' })
      return call(signal, (bucket) => signS3Form(bucket, permission))
    },
    startParts: (object, signal) => startS3Parts(call, object, signal),
    signParts: ({ parts, ...upload }, signal) =>
      call(signal, (bucket) => Promise.all(parts.map((part) => signS3Part(bucket, { ...upload, ...part })))),
    completeParts: (asked, signal) => completeS3Parts(call, asked, signal),
    abortParts: (asked, signal) => abortS3Parts(call, asked, signal),
    listOpenParts: (signal) => listOpenS3Parts(call, config, signal),
    async head(key, signal) {
      const found = await headS3Object(call, key, signal)
      if (!found) return undefined
      const { ContentLength: byteLength = 0, ContentType: contentType, LastModified } = found
      const sha256 = wholeSha256(found)
      return { key, byteLength, contentType, lastModifiedMs: LastModified?.getTime() ?? 0, sha256 }
    },
    hash: (key, signal) => hashS3Object(call, key, signal),
    read: (key, bounds, signal) => readS3Object(call, key, bounds, signal),
    write: (key, bytes, contentType, signal) => writeS3Object(call, { key, bytes, contentType }, signal),
    writeStream: (key, bytes, object, signal) => writeS3Stream(call, { key, ...object }, bytes, signal),
    async delete(key, signal) {
      await call(signal, ({ sdk, client, at }, within) => client.send(new sdk.DeleteObjectCommand(at(key)), within))
    },
    list: (prefix, cursor, signal) => listObjects(call, config, { prefix, cursor }, signal),
    async checkCors(origins, signal) {
      return missingInCors(await readCors(call, config.bucket, signal), { capabilities, origins })
    },
    close,
  }
}

/** Of an upload in parts a store may tell the hash of the hashes of its parts (`…-3`), which is no sum of the bytes. */
function wholeSha256({
  ChecksumSHA256: text = '',
  ChecksumType: type = 'FULL_OBJECT',
}: Pick<HeadObjectCommandOutput, 'ChecksumSHA256' | 'ChecksumType'>): string | undefined {
  return type === 'FULL_OBJECT' && /^[A-Za-z0-9+/]{43}=$/.test(text)
    ? Buffer.from(text, 'base64').toString('hex')
    : undefined
}

async function listObjects(
  call: CallBucket,
  config: S3TargetConfig,
  wanted: { readonly prefix: string; readonly cursor: string | undefined },
  signal: AbortSignal,
): Promise<{ objects: readonly StoredObject[]; cursor: string | undefined }> {
  const own = keyPrefix(config)
  const start = wanted.cursor === undefined ? {} : { StartAfter: own + wanted.cursor }
  const asked = { Bucket: config.bucket, Prefix: own + wanted.prefix, MaxKeys: pageSize, ...start }
  const found = await call(signal, ({ sdk, client }, within) =>
    client.send(new sdk.ListObjectsV2Command(asked), within),
  )
  const objects = (found.Contents ?? []).map(({ Key = '', Size: byteLength = 0, LastModified }) => ({
    key: Key.slice(own.length),
    byteLength,
    contentType: undefined,
    lastModifiedMs: LastModified?.getTime() ?? 0,
  }))
  const cursor = found.IsTruncated === true ? objects.at(-1)?.key : undefined
  return { objects: objects.filter(({ key }) => isBlobKey(key)), cursor }
}

async function readCors(call: CallBucket, bucket: string, signal: AbortSignal): Promise<readonly CorsRule[]> {
  try {
    const { CORSRules = [] } = await call(signal, ({ sdk, client }, within) =>
      client.send(new sdk.GetBucketCorsCommand({ Bucket: bucket }), within),
    )
    return CORSRules.map(({ AllowedOrigins = [], AllowedMethods = [], AllowedHeaders = [], ExposeHeaders = [] }) => ({
      ...{ AllowedOrigins, AllowedMethods, AllowedHeaders, ExposeHeaders },
    }))
  } catch (error) {
    if (isAnswer(causeOf(error), 'NoSuchCORSConfiguration')) return []
    throw error
  }
}
