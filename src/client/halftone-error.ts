/** Why an upload did not end in an image. Aborting is no such failure: that rejects with the reason of the signal. */
export class HalftoneError extends Error {
  /**
   * Stable; as in the error table of the API, and besides: `network` (no answer after every try), `store_refused` (the store did
   * not take the bytes), `quarantined` (the picture waits for review).
   */
  readonly code: string
  /** HTTP status, 0 without an answer. */
  readonly status: number
  /** A sentence for people. */
  readonly detail: string | undefined
  /** What to look for in the server's log. */
  readonly requestId: string | undefined
  /** Of the image that was to be, once the upload has begun. */
  readonly imageId: string | undefined

  constructor(
    code: string,
    facts: {
      readonly status?: number | undefined
      readonly detail?: string | undefined
      readonly requestId?: string | undefined
      readonly imageId?: string | undefined
      readonly cause?: unknown
    } = {},
  ) {
    super(facts.detail ?? code, { cause: facts.cause })
    this.name = 'HalftoneError'
    this.code = code
    this.status = facts.status ?? 0
    this.detail = facts.detail
    this.requestId = facts.requestId
    this.imageId = facts.imageId
  }
}
