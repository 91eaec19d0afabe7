import express, { type RequestHandler } from 'express'
import { AppError } from '../errors.ts'

// Twenty entries of metadata at their longest, twice over.
const maxBytes = 65_536
const parse = express.json({ limit: maxBytes, strict: true })

/** A body of JSON, or none. Throws `bad_request` for another type and for what cannot be read, `too_large`. */
export const jsonBody = jsonBodyOr()

/** The same where the route also takes something else, which whoever sends a third thing is told of. */
export function jsonBodyOr(otherwise = ''): RequestHandler {
  const expected = `application/json${otherwise && `, or ${otherwise}`}`
  return (request, response, next) => {
    const hasBody = request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length']) > 0
    if (hasBody && !request.is('application/json')) {
      const type = request.headers['content-type'] ?? 'none'
      throw new AppError('bad_request', { detail: `Content-Type: expected ${expected}; got ${type.slice(0, 80)}.` })
    }
    parse(request, response, (error?: unknown) => {
      next(error === undefined ? undefined : refusalOf(error))
    })
  }
}

function refusalOf(cause: unknown): unknown {
  const type = cause instanceof Error && 'type' in cause ? cause.type : undefined
  if (type === 'entity.too.large')
    return new AppError('too_large', { detail: `At most ${maxBytes} bytes of JSON are read.` })
  if (type === 'entity.parse.failed')
    return new AppError('bad_request', { detail: 'The body is no JSON object.', cause })
  return cause
}
