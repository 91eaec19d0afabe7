import type { Request, Response } from 'express'
import { AppError } from '../errors.ts'

/** Fires when the client goes away before its answer is complete, or with `request_timeout`. */
export function signalOf(response: Response, timeoutMs: number): AbortSignal {
  const patience = new AbortController()
  const timer = setTimeout(() => patience.abort(new AppError('request_timeout', { details: { timeoutMs } })), timeoutMs)
  response.once('close', () => {
    clearTimeout(timer)
    if (!response.writableFinished) patience.abort(new AppError('client_closed_request'))
  })
  return patience.signal
}

/** Seconds of `Prefer: wait=N` (RFC 7240 4.3), at most `maxSeconds`; 0 without. */
export function preferredWait(request: Request, maxSeconds: number): number {
  const [, seconds] = /(?:^|[,;])\s*wait\s*=\s*"?(\d{1,6})/i.exec(request.get('prefer') ?? '') ?? []
  return seconds === undefined ? 0 : Math.min(Number(seconds), maxSeconds)
}

/** Throws `bad_request`. */
export function idempotencyKeyOf(request: Request): string | undefined {
  const key = request.get('idempotency-key')
  if (key === undefined) return undefined
  if (!/^[!-~]{1,255}$/.test(key)) {
    throw new AppError('bad_request', { detail: 'Idempotency-Key: expected 1 to 255 visible ASCII characters.' })
  }
  return key
}

/** Throws `bad_request` for a parameter that means nothing here: a list that is not what was asked for is no answer. */
export function assertQuery(request: Request, known: readonly string[]): void {
  const unknown = Object.keys(request.query).find((name) => !known.includes(name))
  if (unknown === undefined) return
  throw new AppError('bad_request', {
    detail: `${JSON.stringify(unknown.slice(0, 40))}: expected ${known.join(', ')} and nothing else in the query.`,
  })
}

/** One value of the query, or nothing. Throws `bad_request` where it is given twice. */
export function queryValue(request: Request, name: string): string | undefined {
  const value = request.query[name]
  if (value === undefined || typeof value === 'string') return value
  throw new AppError('bad_request', { detail: `"${name}": expected one value, got several.` })
}

/** A whole number of the query within bounds, or the default. Throws `bad_request`. */
export function queryNumber(
  request: Request,
  name: string,
  bounds: { min: number; max: number; default: number },
): number {
  const text = queryValue(request, name)
  if (text === undefined) return bounds.default
  const value = Number(text)
  if (Number.isInteger(value) && value >= bounds.min && value <= bounds.max) return value
  throw new AppError('bad_request', {
    detail: `"${name}": expected a whole number from ${bounds.min} to ${bounds.max}, got ${JSON.stringify(text).slice(0, 40)}.`,
  })
}

/** A path segment as express read it. */
export function pathValue(request: Request, name: string): string {
  const value = request.params[name]
  return typeof value === 'string' ? value : ''
}

/** Answers of the API are for the caller alone, and true for this moment. */
export function uncached(response: Response): Response {
  return response.set('Cache-Control', 'no-store').set('X-Content-Type-Options', 'nosniff')
}
