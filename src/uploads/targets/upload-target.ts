/** A request that a client makes by itself, with exactly these headers. */
export type SignedRequest = {
  readonly method: 'PUT' | 'POST'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** Form fields of a presigned POST, to be sent before the file. */
  readonly fields?: Readonly<Record<string, string>>
}

/** What a signed permission allows: this object, these bytes, this long. */
export type PutPermission = {
  readonly key: string
  readonly byteLength: number
  readonly contentType: string
  /** Hex. */
  readonly sha256: string | undefined
  readonly expiresInSeconds: number
}

export type StoredObject = {
  readonly key: string
  readonly byteLength: number
  readonly contentType: string | undefined
  readonly lastModifiedMs: number
}

/** `sha256` (hex) is what the store itself has found the bytes to have; undefined where it tells none of the whole. */
export type HeldObject = StoredObject & { readonly sha256: string | undefined }

export type TargetCapabilities = {
  /** Presigned POST with content-length-range, for uploads of unknown size. */
  readonly presignedPost: boolean
  readonly parts: boolean
  /** The store itself refuses bytes that have another SHA-256. */
  readonly checksums: boolean
}

/**
 * Where uploaded bytes live. Keys are `staging/…` (clients may write them once, by a permission) and `objects/…` (only this
 * server writes them). Every call obeys its signal; failures are AppErrors (`target_failed`, `target_timeout`).
 */
export interface UploadTarget {
  readonly name: string
  readonly capabilities: TargetCapabilities
  /** A PUT of exactly these bytes, once: length, type, checksum and `if-none-match: *` are signed. */
  signPut(permission: PutPermission, signal: AbortSignal): Promise<SignedRequest>
  /** A form upload of at most `byteLength` bytes. Only with the capability. */
  signPost(permission: PutPermission, signal: AbortSignal): Promise<SignedRequest>
  /** Begins an upload in parts; resolves to the store's id for it. Only with the capability. */
  startParts(object: { key: string; contentType: string }, signal: AbortSignal): Promise<string>
  signParts(
    asked: {
      key: string
      multipartId: string
      parts: readonly { number: number; byteLength: number }[]
      expiresInSeconds: number
    },
    signal: AbortSignal,
  ): Promise<readonly (SignedRequest & { readonly number: number })[]>
  /** Puts together what the store has; false when parts are missing (`expectedParts`) and nothing was done. Idempotent. */
  completeParts(
    asked: { key: string; multipartId: string; expectedParts: number },
    signal: AbortSignal,
  ): Promise<boolean>
  abortParts(asked: { key: string; multipartId: string }, signal: AbortSignal): Promise<void>
  head(key: string, signal: AbortSignal): Promise<HeldObject | undefined>
  /** SHA-256 (hex) of the bytes, read through a piece at a time. */
  hash(key: string, signal: AbortSignal): Promise<string | undefined>
  /** The whole object or its first `length` bytes; never more than `maxBytes` in memory (`too_large`). */
  read(key: string, options: { maxBytes: number; length?: number }, signal: AbortSignal): Promise<Buffer | undefined>
  /** Stores bytes durably before it resolves. Overwrites. */
  write(key: string, bytes: Buffer, contentType: string, signal: AbortSignal): Promise<void>
  /**
   * Streams into a key, hashing; stops with `too_large` after `maxBytes`, and then nothing is left. For bytes that come
   * through this server.
   */
  writeStream(
    key: string,
    bytes: AsyncIterable<Uint8Array>,
    options: { maxBytes: number; contentType: string },
    signal: AbortSignal,
  ): Promise<{ byteLength: number; sha256: string }>
  /** Absent is fine. */
  delete(key: string, signal: AbortSignal): Promise<void>
  /** In key order, a page at a time. */
  list(
    prefix: string,
    cursor: string | undefined,
    signal: AbortSignal,
  ): Promise<{ objects: readonly StoredObject[]; cursor: string | undefined }>
  /** Uploads in parts that were begun and never ended. */
  listOpenParts(signal: AbortSignal): Promise<readonly { key: string; multipartId: string; startedAtMs: number }[]>
  close(): Promise<void>
}
