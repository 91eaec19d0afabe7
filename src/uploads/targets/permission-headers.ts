import type { PutPermission } from './upload-target.ts'

/** The headers that a client must send with a signed PUT, the same for every target. */
export function permissionHeaders({
  contentType,
  byteLength,
  sha256,
}: Omit<PutPermission, 'key' | 'expiresInSeconds'>): Record<string, string> {
  return {
    'content-type': contentType,
    'content-length': String(byteLength),
    'if-none-match': '*',
    ...(sha256 === undefined ? {} : { 'x-amz-checksum-sha256': checksumHeader(sha256) }),
  }
}

/** S3 writes checksums in base64. */
export function checksumHeader(sha256: string): string {
  return Buffer.from(sha256, 'hex').toString('base64')
}
