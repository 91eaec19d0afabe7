import type { CompletedPart } from '@aws-sdk/client-s3'
import type { S3TargetConfig } from '../../config/config.ts'
import { isBlobKey } from './blob-key.ts'
import { isAnswer, keyPrefix, type CallBucket } from './s3-bucket.ts'

type Upload = { readonly key: string; readonly multipartId: string }

/** A sweep finds what is left over next time. */
const maxPages = 20

export async function startS3Parts(
  call: CallBucket,
  { key, contentType }: { readonly key: string; readonly contentType: string },
  signal: AbortSignal,
): Promise<string> {
  const { UploadId } = await call(signal, ({ sdk, client, at }, within) =>
    client.send(new sdk.CreateMultipartUploadCommand({ ...at(key), ContentType: contentType }), within),
  )
  if (UploadId === undefined) throw new Error('the store gave the upload no id')
  return UploadId
}

/** False when parts are missing. By the store's own record: what clients say of their parts is not asked for. */
export async function completeS3Parts(
  call: CallBucket,
  upload: Upload & { readonly expectedParts: number },
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const parts = await listParts(call, upload, signal)
    const wanted = parts.filter(({ PartNumber = 0 }) => PartNumber <= upload.expectedParts)
    if (wanted.length < upload.expectedParts) return false
    await completeWith(call, upload, wanted, signal)
    return true
  } catch (error) {
    // Over: it has been completed, by another one perhaps, or given up.
    if (isNoUpload(error)) return isThere(call, upload.key, signal)
    throw error
  }
}

export async function completeWith(
  call: CallBucket,
  { key, multipartId }: Upload,
  parts: readonly CompletedPart[],
  signal: AbortSignal,
): Promise<void> {
  const command = { UploadId: multipartId, MultipartUpload: { Parts: [...parts] } }
  await call(signal, ({ sdk, client, at }, within) =>
    client.send(new sdk.CompleteMultipartUploadCommand({ ...at(key), ...command }), within),
  )
}

export async function abortS3Parts(call: CallBucket, { key, multipartId }: Upload, signal: AbortSignal): Promise<void> {
  try {
    await call(signal, ({ sdk, client, at }, within) =>
      client.send(new sdk.AbortMultipartUploadCommand({ ...at(key), UploadId: multipartId }), within),
    )
  } catch (error) {
    if (!isNoUpload(error)) throw error
  }
}

export async function listOpenS3Parts(
  call: CallBucket,
  config: S3TargetConfig,
  signal: AbortSignal,
): Promise<readonly (Upload & { readonly startedAtMs: number })[]> {
  const prefix = keyPrefix(config)
  const open: (Upload & { readonly startedAtMs: number })[] = []
  let markers: { KeyMarker?: string; UploadIdMarker?: string } = {}
  for (let page = 0; page < maxPages; page += 1) {
    const asked = { Bucket: config.bucket, Prefix: prefix, ...markers }
    const found = await call(signal, ({ sdk, client }, within) =>
      client.send(new sdk.ListMultipartUploadsCommand(asked), within),
    )
    for (const { Key = '', UploadId: multipartId, Initiated } of found.Uploads ?? []) {
      const key = Key.slice(prefix.length)
      if (multipartId !== undefined && isBlobKey(key)) {
        open.push({ key, multipartId, startedAtMs: Initiated?.getTime() ?? 0 })
      }
    }
    const { IsTruncated, NextKeyMarker, NextUploadIdMarker } = found
    if (IsTruncated !== true || NextKeyMarker === undefined) return open
    markers = {
      KeyMarker: NextKeyMarker,
      ...(NextUploadIdMarker === undefined ? {} : { UploadIdMarker: NextUploadIdMarker }),
    }
  }
  return open
}

async function listParts(call: CallBucket, upload: Upload, signal: AbortSignal): Promise<CompletedPart[]> {
  const parts: CompletedPart[] = []
  let marker: string | undefined
  for (let page = 0; page < maxPages; page += 1) {
    const more = { UploadId: upload.multipartId, ...(marker === undefined ? {} : { PartNumberMarker: marker }) }
    const found = await call(signal, ({ sdk, client, at }, within) =>
      client.send(new sdk.ListPartsCommand({ ...at(upload.key), ...more }), within),
    )
    for (const { PartNumber, ETag } of found.Parts ?? []) {
      if (PartNumber !== undefined && ETag !== undefined) parts.push({ PartNumber, ETag })
    }
    marker = found.NextPartNumberMarker
    if (found.IsTruncated !== true || marker === undefined) break
  }
  return parts
}

async function isThere(call: CallBucket, key: string, signal: AbortSignal): Promise<boolean> {
  return (await headS3Object(call, key, signal)) !== undefined
}

export async function headS3Object(call: CallBucket, key: string, signal: AbortSignal) {
  try {
    return await call(signal, ({ sdk, client, at }, within) =>
      client.send(new sdk.HeadObjectCommand({ ...at(key), ChecksumMode: 'ENABLED' }), within),
    )
  } catch (error) {
    if (isAnswer(causeOf(error), 'NotFound', 'NoSuchKey')) return undefined
    throw error
  }
}

/** Ceph says NoSuchKey. */
function isNoUpload(error: unknown): boolean {
  return isAnswer(causeOf(error), 'NoSuchUpload', 'NoSuchKey')
}

/** Calls fail with AppErrors; what the store said is behind them. */
export function causeOf(error: unknown): unknown {
  return error instanceof Error ? error.cause : undefined
}
