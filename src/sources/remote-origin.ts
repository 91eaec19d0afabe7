/** What an origin needs to tell whether our copy is still the current one. */
export type Validators = {
  /** Name of the origin that gave them: another one must not see them, its ETags mean something else. */
  readonly origin: string
  readonly etag?: string | undefined
  readonly lastModified?: string | undefined
}

/** `freshSeconds` is the origin's own word about how long this may be believed; undefined when it says nothing. */
export type FetchedOriginal =
  | {
      readonly kind: 'modified'
      readonly bytes: Buffer
      readonly lastModifiedMs: number | undefined
      readonly validators: Validators
      readonly freshSeconds: number | undefined
    }
  | { readonly kind: 'unmodified'; readonly validators: Validators; readonly freshSeconds: number | undefined }
  | { readonly kind: 'absent' }

/**
 * A place behind a network that originals come from, asked anew each time. Failures are AppErrors (`source_*`); an abort
 * rejects with its own reason, a timeout signal as `source_timeout`. Everything is bounded in bytes and time.
 */
export interface RemoteOrigin {
  readonly name: string
  /** `unmodified` only when validators were given. */
  fetch(path: string, validators: Validators | undefined, signal: AbortSignal): Promise<FetchedOriginal>
  close(): Promise<void>
}
