import { AppError } from '../errors.ts'
import type { GuardedClient } from './guarded-client.ts'
import { assertWebPort, parseSourceUrl } from './source-url.ts'

/** Whole bodies of public URLs, for what is imported. Throws `source_*`, `not_found`. */
export function fetchFrom(
  client: GuardedClient,
): (url: string, maxBytes: number, signal: AbortSignal) => Promise<Buffer> {
  return async (url, maxBytes, signal) => {
    const answer = await client.get(
      {
        url: parseSourceUrl(url),
        headers: { accept: 'image/*,*/*;q=0.8', 'accept-encoding': 'identity', 'user-agent': 'halftone' },
        privateHeaders: {},
        maxBytes,
        assertAllowed: assertWebPort,
      },
      signal,
    )
    if (answer.status === 200 || answer.status === 203) return answer.body
    if (answer.status === 404 || answer.status === 410)
      throw new AppError('not_found', { detail: 'There is nothing at this URL.' })
    throw new AppError(answer.status < 500 ? 'source_denied' : 'source_failed', { details: { status: answer.status } })
  }
}
