import type { S3Bucket } from './s3-bucket.ts'
import { permissionHeaders } from './permission-headers.ts'
import type { PutPermission, SignedRequest } from './upload-target.ts'

/** A PUT with every header signed as a header: S3 hoists `x-amz-…` into the query, where a client could not miss it but also not see it. */
export async function signS3Put(bucket: S3Bucket, permission: PutPermission): Promise<SignedRequest> {
  const headers = permissionHeaders(permission)
  const checksum = headers['x-amz-checksum-sha256']
  const command = new bucket.sdk.PutObjectCommand({
    ...bucket.at(permission.key),
    ContentType: permission.contentType,
    ContentLength: permission.byteLength,
    IfNoneMatch: '*',
    ...(checksum === undefined ? {} : { ChecksumSHA256: checksum }),
  })
  const url = await bucket.signUrl(bucket.signer, command, {
    expiresIn: permission.expiresInSeconds,
    signableHeaders: new Set(['host', ...Object.keys(headers)]),
    unhoistableHeaders: new Set(Object.keys(headers)),
  })
  return { method: 'PUT', url, headers }
}

/** A form for at most so many bytes of exactly this type under exactly this key. */
export async function signS3Form(bucket: S3Bucket, permission: PutPermission): Promise<SignedRequest> {
  const { Bucket, Key } = bucket.at(permission.key)
  const { url, fields } = await bucket.signForm(bucket.signer, {
    Bucket,
    Key,
    Expires: permission.expiresInSeconds,
    // Each field becomes a condition that asks for exactly this value, the key as well.
    Fields: { 'Content-Type': permission.contentType },
    Conditions: [['content-length-range', 0, permission.byteLength]],
  })
  return { method: 'POST', url, headers: {}, fields }
}

export async function signS3Part(
  bucket: S3Bucket,
  part: {
    readonly key: string
    readonly multipartId: string
    readonly number: number
    readonly byteLength: number
    readonly expiresInSeconds: number
  },
): Promise<SignedRequest & { readonly number: number }> {
  const { number, byteLength, expiresInSeconds } = part
  const command = new bucket.sdk.UploadPartCommand({
    ...bucket.at(part.key),
    UploadId: part.multipartId,
    PartNumber: number,
    ContentLength: byteLength,
  })
  const headers = { 'content-length': String(byteLength) }
  const signableHeaders = new Set(['host', ...Object.keys(headers)])
  const url = await bucket.signUrl(bucket.signer, command, { expiresIn: expiresInSeconds, signableHeaders })
  return { number, method: 'PUT', url, headers }
}
