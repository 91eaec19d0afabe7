/** Which bytes stand behind a path right now. */
export type OriginalState = {
  /** Changes whenever the bytes change: stat facts of a file, SHA-256 of what was fetched. */
  readonly version: string
  readonly byteLength: number
  readonly lastModifiedMs: number
  /** Until when (Unix ms) the origin wants it believed, within the bounds of the source; absent where the configuration decides. */
  readonly freshUntilMs?: number
}

/** The whole original with the state it was read under. */
export type Original = OriginalState & { readonly bytes: Buffer }

/**
 * Where originals come from. Paths are decoded and absolute (`/photos/cat.jpg`), those of a web source whole URLs. Absence is `undefined`;
 * failures are AppErrors (`path_invalid`, `source_*`, `overloaded`).
 * A signal that aborts by a timeout gives `source_timeout`; any other abort rejects with its own reason.
 */
export interface Source {
  readonly name: string
  stat(path: string, signal: AbortSignal): Promise<OriginalState | undefined>
  /** `known`: what `stat` has just told, so that the place need not be asked again whether that is still so. */
  read(path: string, signal: AbortSignal, known?: OriginalState): Promise<Original | undefined>
  close(): Promise<void>
}
