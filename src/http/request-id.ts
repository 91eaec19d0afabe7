import { randomUUID } from 'node:crypto'

const acceptable = /^[\w.:-]{1,64}$/

/** The caller's `X-Request-Id` when it is short and harmless, so that a CDN's id can be followed through; else a fresh one. */
export function requestIdOf(header: string | string[] | undefined): string {
  return typeof header === 'string' && acceptable.test(header) ? header : randomUUID()
}
