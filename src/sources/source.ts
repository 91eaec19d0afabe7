/** Which bytes stand behind a path right now. */
export type OriginalState = {
  /** Changes whenever the bytes change: stat facts of a file, ETag of an object. */
  readonly version: string
  readonly byteLength: number
  readonly lastModifiedMs: number
}

/** The whole original with the state it was read under. */
export type Original = OriginalState & { readonly bytes: Buffer }

/**
 * Where originals come from. Paths are decoded and absolute (`/photos/cat.jpg`). Absence is `undefined`;
 * failures are AppErrors (`path_invalid`, `source_too_large`, `source_failed`, `source_timeout`).
 * A signal that aborts by a timeout gives `source_timeout`; any other abort rejects with its own reason.
 */
export interface Source {
  readonly name: string
  stat(path: string, signal: AbortSignal): Promise<OriginalState | undefined>
  read(path: string, signal: AbortSignal): Promise<Original | undefined>
  close(): Promise<void>
}
