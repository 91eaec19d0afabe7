import { randomBytes, randomUUID } from 'node:crypto'

const acceptable = /^[\w.:-]{1,64}$/

/** The caller's `X-Request-Id` when it is short and harmless, so that a CDN's id can be followed through; else a fresh one. */
export function requestIdOf(header: string | string[] | undefined, freshId: () => string = randomUUID): string {
  return typeof header === 'string' && acceptable.test(header) ? header : freshId()
}

/** Random for the process and counted within it: a fifth of what a UUID costs, and nothing rests on ids being secret. */
export function createFreshIds(): () => string {
  const prefix = `${randomBytes(9).toString('base64url')}-`
  let count = 0
  return () => prefix + (count += 1).toString(36)
}
