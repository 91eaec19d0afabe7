/** What every error code means to the outside: one row per code, printed in docs/url-api.md. */
type ErrorRow = {
  readonly status: number
  /** Public text (RFC 9457 `title`); never carries internals. */
  readonly title: string
  /** Whether the same request may succeed later; such answers carry `Retry-After` and are `no-store`. */
  readonly retryable: boolean
}

export const errorTable = {
  bad_request: { status: 400, title: 'The request is malformed', retryable: false },
  path_invalid: { status: 400, title: 'The path is not a valid image path', retryable: false },
  source_url_invalid: { status: 400, title: 'The path is not the URL of an original', retryable: false },
  source_loop: { status: 400, title: 'The URL leads back to this server', retryable: false },
  param_invalid: { status: 400, title: 'A parameter is not valid', retryable: false },
  preset_required: { status: 400, title: 'Only configured presets are served here', retryable: false },
  unauthenticated: { status: 401, title: 'Credentials are missing or not valid', retryable: false },
  scope_required: { status: 403, title: 'These credentials do not allow this', retryable: false },
  origin_refused: { status: 403, title: 'Pages of this origin may not call the API', retryable: false },
  quota_exceeded: { status: 403, title: 'The quota is used up', retryable: false },
  signature_required: { status: 403, title: 'A valid signature is required', retryable: false },
  signature_invalid: { status: 403, title: 'The signature does not match', retryable: false },
  signature_expired: { status: 403, title: 'The signed URL has expired', retryable: false },
  source_url_refused: { status: 403, title: 'Originals are not taken from this URL', retryable: false },
  source_address_refused: { status: 403, title: 'Originals are not taken from this address', retryable: false },
  source_denied: { status: 403, title: 'The source does not give this original away', retryable: false },
  url_expired: { status: 404, title: 'The URL has expired', retryable: false },
  not_found: { status: 404, title: 'There is nothing at this URL', retryable: false },
  method_not_allowed: { status: 405, title: 'This method is not answered here', retryable: false },
  not_uploaded: { status: 409, title: 'The bytes have not been uploaded yet', retryable: true },
  in_progress: { status: 409, title: 'The same request is still being worked on', retryable: true },
  wrong_state: { status: 409, title: 'The state it is in does not allow this', retryable: false },
  already_uploaded: { status: 412, title: 'There are bytes under this permission already', retryable: false },
  expired: { status: 410, title: 'The upload has expired', retryable: false },
  too_large: { status: 413, title: 'More bytes than allowed', retryable: false },
  source_too_large: { status: 413, title: 'The original is larger than allowed', retryable: false },
  uri_too_long: { status: 414, title: 'The URL is too long', retryable: false },
  range_not_satisfiable: { status: 416, title: 'The requested range lies outside the image', retryable: false },
  type_not_allowed: { status: 415, title: 'Files of this type are not accepted', retryable: false },
  type_mismatch: { status: 422, title: 'The bytes are of another type than declared', retryable: false },
  size_mismatch: { status: 422, title: 'The number of bytes is not the one declared', retryable: false },
  checksum_mismatch: { status: 422, title: 'The bytes do not have the SHA-256 declared', retryable: false },
  dimensions_not_allowed: {
    status: 422,
    title: 'The picture has not the dimensions its kind asks for',
    retryable: false,
  },
  moderation_rejected: { status: 422, title: 'The picture was refused by moderation', retryable: false },
  idempotency_mismatch: { status: 422, title: 'The idempotency key was used with another body', retryable: false },
  not_an_image: { status: 422, title: 'The original is not an image of a supported type', retryable: false },
  undecodable: { status: 422, title: 'The original cannot be decoded', retryable: false },
  too_many_pixels: { status: 422, title: 'The original has more pixels than allowed', retryable: false },
  too_many_frames: { status: 422, title: 'The original has more frames than allowed', retryable: false },
  render_too_slow: { status: 422, title: 'The picture could not be rendered in the time allowed', retryable: true },
  render_too_large: {
    status: 422,
    title: 'The picture could not be rendered in the memory allowed',
    retryable: false,
  },
  render_refused: {
    status: 422,
    title: 'The original has crashed the renderer and is refused for a while',
    retryable: false,
  },
  rate_limited: { status: 429, title: 'Too many requests', retryable: true },
  client_closed_request: { status: 499, title: 'The client went away before the answer', retryable: true },
  internal: { status: 500, title: 'Something went wrong on our side', retryable: true },
  processing_failed: { status: 500, title: 'The upload could not be processed', retryable: false },
  target_failed: { status: 502, title: 'The store of uploads did not do what it was asked', retryable: true },
  source_failed: { status: 502, title: 'The source did not deliver the original', retryable: true },
  source_unreachable: { status: 502, title: 'The source cannot be reached', retryable: true },
  source_redirects: { status: 502, title: 'The source redirects too often', retryable: true },
  source_truncated: { status: 502, title: 'The source broke off in the middle of the original', retryable: true },
  auth_unavailable: { status: 503, title: 'Credentials cannot be checked at the moment', retryable: true },
  request_timeout: { status: 503, title: 'The request could not be answered in the time allowed', retryable: true },
  overloaded: { status: 503, title: 'Too much work is waiting', retryable: true },
  shutting_down: { status: 503, title: 'The server is shutting down', retryable: true },
  target_timeout: { status: 504, title: 'The store of uploads did not answer in time', retryable: true },
  source_timeout: { status: 504, title: 'The source did not deliver the original in time', retryable: true },
  source_connect_timeout: { status: 504, title: 'The source took too long to connect to', retryable: true },
  source_first_byte_timeout: { status: 504, title: 'The source took too long to begin its answer', retryable: true },
  source_stalled: { status: 504, title: 'The source stopped in the middle of the original', retryable: true },
} as const satisfies Record<string, ErrorRow>

export type ErrorCode = keyof typeof errorTable

export type ErrorDetails = Readonly<Record<string, string | number | boolean>>

/** The only error class that is thrown on purpose; everything else is a bug and becomes `internal`. */
export class AppError extends Error {
  readonly code: ErrorCode
  /** Public sentence for the problem document's `detail`: the field, what was expected, what came. */
  readonly detail: string | undefined
  /** Facts for the log and, where harmless, for the problem document. */
  readonly details: ErrorDetails

  constructor(code: ErrorCode, options: { detail?: string; details?: ErrorDetails; cause?: unknown } = {}) {
    super(options.detail ?? errorTable[code].title, { cause: options.cause })
    this.name = 'AppError'
    this.code = code
    this.detail = options.detail
    this.details = options.details ?? {}
  }

  get status(): number {
    return errorTable[this.code].status
  }

  get retryable(): boolean {
    return errorTable[this.code].retryable
  }
}

/** Turns whatever was thrown into an AppError; unknown things become `internal` with the original as cause. */
export function toAppError(thrown: unknown): AppError {
  return thrown instanceof AppError ? thrown : new AppError('internal', { cause: thrown })
}
