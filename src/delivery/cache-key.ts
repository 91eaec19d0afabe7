import { createHash } from 'node:crypto'

/** Everything that decides the bytes of an answer. Whatever is not here cannot make a second variant. */
export type KeyParts = {
  readonly source: string
  readonly path: string
  readonly version: string
  readonly canonical: string
  readonly capabilitiesKey: string
  readonly epoch: number
  /** Names encoder versions and settings: new encoders, new keys. */
  readonly encoderEpoch: string
}

/** SHA-256 of the parts, base64url, 43 characters. JSON keeps the borders between parts unforgeable. */
export function cacheKey(parts: KeyParts): string {
  const { source, path, version, canonical, capabilitiesKey, epoch, encoderEpoch } = parts
  return createHash('sha256')
    .update(JSON.stringify([epoch, encoderEpoch, source, path, version, canonical, capabilitiesKey]))
    .digest('base64url')
}

/** Strong, because a key names source version, params, format class and encoders, which together decide every byte (RFC 9110 8.8.3). */
export function etagOf(key: string): string {
  return `"${key.slice(0, 27)}"`
}
