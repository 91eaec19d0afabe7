import { AppError } from '../errors.ts'
import { createSlots } from '../lib/slots.ts'
import type { GuardedClient } from './guarded-client.ts'
import { assertWebPort, parseSourceUrl } from './source-url.ts'

// Each is whole in memory until it is stored.
const bodiesAtOnce = 4
const bodiesInLine = 60

/** Gets what is behind a URL, and holds one of few places for it for as long as `use` takes. */
type LendBody = <Used>(
  url: string,
  maxBytes: number,
  use: (body: Buffer) => Promise<Used>,
  signal: AbortSignal,
) => Promise<Used>

/** Whole bodies of public URLs, for what is imported. Throws `source_*`, `not_found`, `overloaded`. */
export function fetchFrom(client: GuardedClient): LendBody {
  const slots = createSlots({ active: bodiesAtOnce, waiting: bodiesInLine })
  return async (url, maxBytes, use, signal) => {
    const leave = await slots.take(signal)
    signal.throwIfAborted()
    if (!leave) throw new AppError('overloaded', { detail: 'Too many pictures are being imported.' })
    try {
      return await use(await fetchBody(client, { url, maxBytes }, signal))
    } finally {
      leave()
    }
  }
}

async function fetchBody(
  client: GuardedClient,
  { url, maxBytes }: { readonly url: string; readonly maxBytes: number },
  signal: AbortSignal,
): Promise<Buffer> {
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
