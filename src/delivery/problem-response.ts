import type { DeliveryConfig } from '../config/config.ts'
import { errorTable, type AppError } from '../errors.ts'
import type { ImageAnswer } from './image-answer.ts'
import { sharedHeaders, varyHeader } from './image-response.ts'

export type ProblemContext = {
  readonly requestId: string
  /** Raw path without the query: signatures never come back in a body. */
  readonly instance: string
  readonly negotiated: boolean
  readonly isPrivate: boolean
  readonly delivery: DeliveryConfig
}

/** RFC 9457 document for an error of the table; internals stay in the log. */
export function problemAnswer(error: AppError, context: ProblemContext): ImageAnswer {
  const { status, title } = errorTable[error.code]
  const document = {
    type: `urn:halftone:problem:${error.code}`,
    title,
    status,
    ...(error.detail === undefined || status >= 500 ? {} : { detail: error.detail }),
    instance: context.instance,
    code: error.code,
    requestId: context.requestId,
  }
  const body = Buffer.from(`${JSON.stringify(document)}\n`)
  const byteLength = error.details['byteLength']
  return {
    status,
    headers: [
      ['Content-Type', 'application/problem+json'],
      ['Content-Length', String(body.length)],
      ['Cache-Control', errorCacheControl(error, context)],
      ...(error.retryable ? ([['Retry-After', String(retryAfterSeconds(error, context))]] as const) : []),
      ...(error.code === 'range_not_satisfiable' ? ([['Content-Range', `bytes */${byteLength}`]] as const) : []),
      ...(error.code === 'method_not_allowed'
        ? ([['Allow', String(error.details['allow'] ?? 'GET, HEAD')]] as const)
        : []),
      ...varyHeader(context.negotiated),
      ['X-Error', error.code],
      ['Cache-Status', `halftone; detail=${error.code}`],
      ...sharedHeaders(context.requestId, context.delivery),
    ],
    body,
    facts: { outcome: 'error', error: error.code },
  }
}

/** As configured, or later where more work than that is known to wait. */
function retryAfterSeconds({ details }: AppError, { delivery }: ProblemContext): number {
  const predicted = details['retryAfterSeconds']
  return Math.max(delivery.retryAfterSeconds, typeof predicted === 'number' ? predicted : 0)
}

/** Refusals and passing trouble are never stored; wrong requests and missing originals only briefly. */
function errorCacheControl(error: AppError, context: ProblemContext): string {
  if (error.retryable || error.status === 403 || error.status === 416 || context.isPrivate) return 'no-store'
  return `public, max-age=${context.delivery.errorMaxAgeSeconds}`
}
