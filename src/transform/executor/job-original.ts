/** An original in a file that the front holds open while the job is under way. */
export type OriginalFile = {
  /** Where a renderer can open the held file; chosen by the front alone. */
  readonly heldPath: string
  readonly byteLength: number
  /** Throws when the file has changed since it was opened: what was read of it before counts for nothing. */
  readonly assertUnchanged: () => Promise<void>
  /** The bytes, for a renderer that cannot open the file. Throws as `assertUnchanged`. */
  readonly read: () => Promise<Buffer>
  /** Told, once, when a renderer has been reading it for longer than `slowReadMs`: the disk holds a renderer. */
  readonly onSlow: () => void
}

/** What a job renders: bytes that are here already, or a file that a renderer reads itself, once for all its variants. */
export type JobOriginal = Buffer | OriginalFile

export function byteLengthOf(original: JobOriginal): number {
  return Buffer.isBuffer(original) ? original.length : original.byteLength
}

/** What it takes of the front's memory while it waits. */
export function heldBytesOf(original: JobOriginal): number {
  return Buffer.isBuffer(original) ? original.length : 0
}

/** The bytes, read now if they are not here. */
export function bytesOf(original: JobOriginal): Buffer | Promise<Buffer> {
  return Buffer.isBuffer(original) ? original : original.read()
}
