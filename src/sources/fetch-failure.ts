import { AppError, type ErrorCode } from '../errors.ts'
import { abortError } from './until-aborted.ts'

/** Codes of undici, node:net, node:dns and node:zlib. What is not here is `source_failed`. */
const failureOfCode: Readonly<Record<string, ErrorCode>> = {
  UND_ERR_CONNECT_TIMEOUT: 'source_connect_timeout',
  UND_ERR_HEADERS_TIMEOUT: 'source_first_byte_timeout',
  UND_ERR_BODY_TIMEOUT: 'source_stalled',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'source_truncated',
  Z_BUF_ERROR: 'source_truncated',
  ETIMEDOUT: 'source_connect_timeout',
  ECONNREFUSED: 'source_unreachable',
  EHOSTUNREACH: 'source_unreachable',
  ENETUNREACH: 'source_unreachable',
  EADDRNOTAVAIL: 'source_unreachable',
  ENOTFOUND: 'source_unreachable',
  EAI_AGAIN: 'source_unreachable',
}

/** A closed connection means nothing came before the head of the answer, and a part of it after. */
const closedCodes = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE'])

/** What was thrown on the way to an original as an AppError; an abort keeps the reason of who aborted. */
export function fetchFailure(thrown: unknown, phase: 'head' | 'body', signal: AbortSignal): Error {
  if (thrown instanceof AppError) return thrown
  if (signal.aborted) return abortError(signal)
  const code = codeOf(thrown)
  if (phase === 'body' && closedCodes.has(code)) return failure('source_truncated', code, thrown)
  return failure(failureOfCode[code] ?? tlsFailure(code) ?? 'source_failed', code, thrown)
}

/** Whether the fault is with the source and may pass: then a stale original is better than none. */
export function isOutage(error: unknown): boolean {
  return error instanceof AppError && outageCodes.has(error.code)
}

const outageCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'source_failed',
  'source_unreachable',
  'source_redirects',
  'source_truncated',
  'source_timeout',
  'source_connect_timeout',
  'source_first_byte_timeout',
  'source_stalled',
  'overloaded',
])

function tlsFailure(code: string): ErrorCode | undefined {
  return /CERT|TLS|SSL|EPROTO|SELF_SIGNED|UNABLE_TO/.test(code) ? 'source_unreachable' : undefined
}

function failure(appCode: ErrorCode, code: string, cause: unknown): AppError {
  return new AppError(appCode, { cause, details: { reason: code } })
}

function codeOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return ''
  if ('code' in thrown) return String(thrown.code)
  // Happy eyeballs fails with one error per address.
  const [first] = thrown instanceof AggregateError ? (thrown.errors as unknown[]) : [thrown.cause]
  return first instanceof Error ? codeOf(first) : thrown.name
}
