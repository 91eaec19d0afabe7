import { createHmac } from 'node:crypto'
import type { ErrorRequestHandler, Request, RequestHandler, Response } from 'express'
import type { Principal } from '../../auth/authenticator.ts'
import { AppError } from '../../errors.ts'
import { clientAddress } from './client-address.ts'
import { rateLimited } from './rate-limited.ts'
import type { RateLimiter } from './rate-limiter.ts'

export type AuthenticateDeps = {
  readonly authenticator: { authenticate(bearer: string, signal: AbortSignal): Promise<Principal> }
  /** Whether uploads may be begun without credentials, in the project `default`. */
  readonly allowsAnonymous: boolean
  /** Makes owners out of addresses, which are not kept themselves. */
  readonly secret: Uint8Array
  readonly failures: RateLimiter
  readonly timeoutMs: number
}

export type Authenticate = {
  /** 401 without valid credentials. */
  readonly required: RequestHandler
  /** For requests that begin an upload: nobody in particular will do where the project allows it. */
  readonly orAnonymous: RequestHandler
}

/** Bearer credentials (RFC 6750) to a principal. */
export function createAuthenticate(deps: AuthenticateDeps): Authenticate {
  function handler(begins: boolean): RequestHandler {
    return (request, response, next) => {
      const gone = new AbortController()
      const leave = () => gone.abort()
      response.once('close', leave)
      const signal = AbortSignal.any([gone.signal, AbortSignal.timeout(deps.timeoutMs)])
      const asked = { mayBeAnonymous: begins && deps.allowsAnonymous, signal }
      // An abort that nobody waits for any more still costs an exception with its stack.
      const identified = identify(request, asked, deps).finally(() => response.off('close', leave))
      void identified.then((principal) => {
        // The token of one upload begins no other.
        if (begins && principal.uploadId !== undefined) return next(new AppError('unauthenticated'))
        response.locals[principalKey] = principal
        next()
      }, next)
    }
  }
  return { required: handler(false), orAnonymous: handler(true) }
}

// Only the handler above writes it.
const principalKey = 'principal'

/** Who calls; throws `unauthenticated` where `authenticate` has not run. */
export function principalOf(response: Pick<Response, 'locals'>): Principal {
  const principal = callerOf(response)
  if (principal === undefined) throw new AppError('unauthenticated')
  return principal
}

/** The same for records of what was done: undefined where nobody was found out. */
export function callerOf(response: Pick<Response, 'locals'>): Principal | undefined {
  return response.locals[principalKey] as Principal | undefined
}

async function identify(
  request: Request,
  { mayBeAnonymous, signal }: { mayBeAnonymous: boolean; signal: AbortSignal },
  deps: AuthenticateDeps,
): Promise<Principal> {
  const address = clientAddress(request)
  const { authorization } = request.headers
  if (authorization === undefined) {
    if (mayBeAnonymous) return anonymousAt(address, deps.secret)
    throw new AppError('unauthenticated', { detail: 'Send Authorization: Bearer with an API key or a JWT.' })
  }
  try {
    return await deps.authenticator.authenticate(bearerOf(authorization), signal)
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'unauthenticated') throw inTime(error, signal)
    // Only what is wrong is limited: behind one proxy somebody's guesses must not lock out those who know.
    const failures = await deps.failures.consume(address)
    if (failures.isExceeded) throw rateLimited(failures, 'wrong credentials from one address')
    throw new AppError('unauthenticated', {
      ...(error.detail === undefined ? {} : { detail: error.detail }),
      details: { invalidToken: true },
      cause: error,
    })
  }
}

/** RFC 6750 2.1; never the query, which lands in logs. */
function bearerOf(authorization: string): string {
  const token = /^Bearer +([!-~]+) *$/i.exec(authorization)?.[1]
  if (token === undefined)
    throw new AppError('unauthenticated', { detail: 'Expected Authorization: Bearer and a token, got something else.' })
  return token
}

/** One owner for each address: quotas count, and nobody reads what another has uploaded. */
function anonymousAt(address: string, secret: Uint8Array): Principal {
  const hash = createHmac('sha256', secret).update(`anonymous ${address}`).digest('hex').slice(0, 32)
  return {
    kind: 'anonymous',
    project: 'default',
    owner: `anonymous:${hash}`,
    scopes: new Set(['uploads:write'] as const),
    name: 'anonymous',
  }
}

function inTime(error: unknown, signal: AbortSignal): unknown {
  if (!signal.aborted) return error
  const isLate = signal.reason instanceof DOMException && signal.reason.name === 'TimeoutError'
  return new AppError(isLate ? 'auth_unavailable' : 'client_closed_request', { cause: error })
}

/** Before errors are answered: what to do about a 401 or 403, as RFC 6750 3 wants it told. */
export const challenge: ErrorRequestHandler = (error, _request, response, next) => {
  if (error instanceof AppError && !response.headersSent) {
    const found = challengeFor(error)
    if (found !== undefined) response.set('WWW-Authenticate', found)
  }
  next(error)
}

function challengeFor(error: AppError): string | undefined {
  const realm = 'Bearer realm="halftone"'
  if (error.code === 'scope_required') {
    const scope = error.details['scope']
    return `${realm}, error="insufficient_scope"${typeof scope === 'string' ? `, scope="${scope}"` : ''}`
  }
  if (error.code !== 'unauthenticated') return undefined
  return error.details['invalidToken'] === true ? `${realm}, error="invalid_token"` : realm
}
