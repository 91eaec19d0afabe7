import type { Request, RequestHandler, Response } from 'express'
import type { AuthConfig, ProjectConfig } from '../../config/config.ts'
import { principalOf } from './authenticate.ts'
import { clientAddress } from './client-address.ts'
import { rateLimited } from './rate-limited.ts'
import { createMemoryRateLimiter, type RateLimit, type RateLimiter, type RateState } from './rate-limiter.ts'

export type RateLimitDeps = {
  readonly auth: Pick<AuthConfig, 'requestsPerMinute' | 'failuresPerMinute'>
  readonly projects: Readonly<Record<string, Pick<ProjectConfig, 'uploadsPerMinute'>>>
  /** Of a limit by its name; in memory when left out. */
  readonly createLimiter?: (name: string, limit: RateLimit) => RateLimiter
}

export type RateLimits = {
  /** For every request, after `authenticate`. */
  readonly requests: RequestHandler
  /** Beside it, for requests that begin an upload. */
  readonly uploads: RequestHandler
}

type Check = { readonly name: 'requests' | 'owner' | 'address'; readonly limiter: RateLimiter; readonly key: string }

const windowSeconds = 60
/** Owners and addresses that are counted apart, in all projects together; of each kind. */
const allKeys = 50_000

/** Limits of the API. A request over one of them is answered 429 `rate_limited` with `Retry-After`. */
export function createRateLimits(deps: RateLimitDeps): RateLimits {
  const maxKeys = Math.max(1000, Math.floor(allKeys / Object.keys(deps.projects).length))
  const createLimiter = deps.createLimiter ?? ((_name, limit) => createMemoryRateLimiter(limit, { maxKeys }))
  const limiterOf = (name: string, points: number): RateLimiter => createLimiter(name, { points, windowSeconds })
  const requests = limiterOf('requests', deps.auth.requestsPerMinute)
  const uploads = new Map(
    Object.entries(deps.projects).map(([project, { uploadsPerMinute }]) => [
      project,
      {
        owner: limiterOf(`${project}:owner`, uploadsPerMinute.owner),
        address: limiterOf(`${project}:address`, uploadsPerMinute.address),
      },
    ]),
  )

  function uploadChecks(request: Request, response: Response): readonly Check[] {
    const principal = principalOf(response)
    const limiters = uploads.get(principal.project)
    if (limiters === undefined) return []
    const owner: Check = { name: 'owner', limiter: limiters.owner, key: principal.owner }
    // A key is held by a backend, which is one address for all its users.
    if (principal.kind === 'key') return [owner]
    return [owner, { name: 'address', limiter: limiters.address, key: clientAddress(request) }]
  }

  return {
    requests: (request, response, next) => {
      const { kind, project, owner } = principalOf(response)
      const key = kind === 'anonymous' ? `address ${clientAddress(request)}` : `owner ${project}/${owner}`
      void countAll([{ name: 'requests', limiter: requests, key }], response).then(() => next(), next)
    },
    uploads: (request, response, next) => {
      void countAll(uploadChecks(request, response), response).then(() => next(), next)
    },
  }
}

/** Wrong credentials by address; `authenticate` counts them. */
export function createFailureLimiter({ failuresPerMinute }: Pick<AuthConfig, 'failuresPerMinute'>): RateLimiter {
  return createMemoryRateLimiter({ points: failuresPerMinute, windowSeconds })
}

async function countAll(checks: readonly Check[], response: Response): Promise<void> {
  for (const { name, limiter, key } of checks) {
    const state = await limiter.consume(key)
    tellLimit(response, name, state)
    if (state.isExceeded) throw rateLimited(state, name === 'requests' ? 'requests' : `uploads by one ${name}`)
  }
}

/** draft-ietf-httpapi-ratelimit-headers, and the three fields of its early versions for the limit that is nearest. */
function tellLimit(response: Response, name: string, state: RateState): void {
  response.append('RateLimit-Policy', `"${name}";q=${String(state.limit)};w=${String(state.windowSeconds)}`)
  response.append('RateLimit', `"${name}";r=${String(state.remaining)};t=${String(state.resetSeconds)}`)
  const told = response.getHeader('RateLimit-Remaining')
  if (told !== undefined && Number(told) <= state.remaining) return
  response.set('RateLimit-Limit', String(state.limit))
  response.set('RateLimit-Remaining', String(state.remaining))
  response.set('RateLimit-Reset', String(state.resetSeconds))
}
