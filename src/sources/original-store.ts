/** Where remote sources keep what they fetched. May lose anything at any time; what it gives is what it was given. */
export interface OriginalStore {
  /** Keys are 16 to 64 characters of base64url. Never rejects but by the signal. */
  get(key: string, signal: AbortSignal): Promise<Buffer | undefined>
  /** Readable at once; resolves when it is kept, or was decided not to be. Never rejects. */
  set(key: string, bytes: Buffer): Promise<void>
  delete(key: string): Promise<void>
}

/** By content: an original under two paths, or back under an old version, is kept once. */
export function bytesKey(version: string): string {
  return `bytes-${version}`
}

/** For one-off work: every read is a fetch. */
export function createEmptyStore(): OriginalStore {
  return {
    get: () => Promise.resolve(undefined),
    set: () => Promise.resolve(),
    delete: () => Promise.resolve(),
  }
}
