/** Which bytes stand behind a path right now. */
export type OriginalState = {
  /** Changes whenever the bytes change: stat facts of a file, SHA-256 of what was fetched. */
  readonly version: string
  readonly byteLength: number
  readonly lastModifiedMs: number
  /** Until when (Unix ms) the origin wants it believed, within the bounds of the source; absent where the configuration decides. */
  readonly freshUntilMs?: number
}

/** What holds for one original, where that is not the same for all of a source. */
export type OriginalRules = {
  /** By what it is read, and cached: every spelling of one original leads to the same. */
  readonly path: string
  /** What its file is called. */
  readonly filename: string
  /** By what a CDN can be told to forget it, in all its versions. */
  readonly tag: string
  readonly visibility: 'public' | 'private'
  readonly immutable: boolean
  /** What the URL brings along that opens it although it is private. */
  readonly grant: OriginalGrant | undefined
  /** Whether nothing has changed, for anybody, since this was asked; cheap enough for every hit. */
  readonly stillHold: () => boolean
}

export type OriginalGrant = {
  readonly expiresAtSeconds: number
  /** The one transform it opens, in place of the query; undefined opens any. */
  readonly params: string | undefined
  /** Each use counts, so that no answer may be used twice. */
  readonly isCounted: boolean
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
  /**
   * Asked on every request where it is there: its originals change from one request to the next, so that nothing of them is believed for a
   * while. Undefined: there is nothing to serve. Throws `signature_invalid`, `signature_expired` (of a token in the query).
   */
  rules?(path: string, query: string): Promise<OriginalRules | undefined>
  stat(path: string, signal: AbortSignal): Promise<OriginalState | undefined>
  /** `known`: what `stat` has just told, so that the place need not be asked again whether that is still so. */
  read(path: string, signal: AbortSignal, known?: OriginalState): Promise<Original | undefined>
  close(): Promise<void>
}

/** An original in a file that is held open, so that another process can read the very bytes that were found here. */
export type HeldOriginal = OriginalState & {
  /** Opens the held file itself, whatever has become of the name it was found under; works until `close`. */
  readonly heldPath: string
  /** Whether the file is still as it was found. What was read before is the original only if it is; false once it is closed. */
  isUnchanged(signal: AbortSignal): Promise<boolean>
  /** The bytes, undefined when they have changed. */
  read(signal: AbortSignal): Promise<Buffer | undefined>
  close(): void
}

/** A source whose originals are files anyway, so that nobody has to hand their bytes on. */
export interface HoldingSource extends Source {
  /** As `read`, but the bytes stay where they are. Those who know of the same version may share what is held. */
  hold(path: string, signal: AbortSignal, known: OriginalState): Promise<HeldOriginal | undefined>
}

export function canHold(source: Source): source is HoldingSource {
  return 'hold' in source
}
