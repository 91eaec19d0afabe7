import type { GuardedAnswer, GuardedClient } from './guarded-client.ts'

type Named = {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly maxBytes: number
}

/** Gets what is behind a URL that the operator wrote, whichever port it names. Throws `source_*`. */
export function fetchAsNamed(
  client: GuardedClient,
): (named: Named, signal: AbortSignal) => Promise<Pick<GuardedAnswer, 'status' | 'body'>> {
  return (named, signal) => client.get({ ...named, privateHeaders: {}, assertAllowed: () => {} }, signal)
}
