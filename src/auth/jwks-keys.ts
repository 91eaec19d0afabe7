import { createRemoteJWKSet, customFetch, type FetchImplementation, type JWTVerifyGetKey } from 'jose'

export type JwksKeys = {
  readonly resolve: JWTVerifyGetKey
  /** Whether the keys in use are old ones, because the provider did not answer lately. */
  isStale(): boolean
}

const deadlineMs = 5000
/** A key that is not known is asked for at most so often: anybody can send tokens with made-up key ids. */
const cooldownMs = 30_000
const maxAgeMs = 600_000
/** How long old keys count while the provider is down; a withdrawn key counts no longer than this and `maxAgeMs`. */
const staleMs = 3_600_000
/** A provider that is down is left alone for a moment. */
const pauseMs = 3000
/** A clock that is only kept right takes smaller steps. */
const stepBackMs = 1000
const maxBytes = 512 * 1024

/** Gets what is behind a URL that the operator named, and follows no redirect. Throws when there is no answer within the bounds. */
export type FetchKeySet = (
  request: {
    readonly url: URL
    readonly headers: Readonly<Record<string, string>>
    readonly maxBytes: number
  },
  signal: AbortSignal,
) => Promise<{ readonly status: number; readonly body: Buffer }>

/** The keys of an identity provider: cached, asked again for an unknown one, and kept for an hour while it is down. */
export function createJwksKeys(url: string, fetchKeySet: FetchKeySet, now: () => number = Date.now): JwksKeys {
  let good: { readonly text: string; readonly atMs: number } | undefined
  let failure: { readonly error: unknown; readonly atMs: number } | undefined

  const fetchKeys: FetchImplementation = async (address, options) => {
    try {
      if (failure !== undefined && now() - failure.atMs < pauseMs) throw failure.error
      const text = await askProvider(address, fetchKeySet, options.signal)
      good = { text, atMs: now() }
      failure = undefined
    } catch (error) {
      if (error !== failure?.error) failure = { error, atMs: now() }
      if (good === undefined || now() - good.atMs > staleMs) throw error
    }
    return new Response(good.text, { status: 200 })
  }
  const openSet = () =>
    createRemoteJWKSet(new URL(url), {
      timeoutDuration: deadlineMs,
      cooldownDuration: cooldownMs,
      cacheMaxAge: maxAgeMs,
      [customFetch]: fetchKeys,
    })
  let set = openSet()
  let lastMs = now()
  // After a clock was set back, what was noted lies in the future: nothing would be asked until it catches up.
  const noticeStepBack = () => {
    const nowMs = now()
    if (nowMs < lastMs - stepBackMs) {
      set = openSet()
      failure = undefined
      if (good) good = { ...good, atMs: nowMs }
    }
    lastMs = nowMs
  }
  return {
    resolve(...asked) {
      noticeStepBack()
      return set(...asked)
    },
    isStale: () => failure !== undefined,
  }
}

async function askProvider(url: string, fetchKeySet: FetchKeySet, signal: AbortSignal): Promise<string> {
  const headers = { accept: 'application/json, application/jwk-set+json', 'user-agent': 'halftone' }
  const answer = await fetchKeySet({ url: new URL(url), headers, maxBytes }, signal)
  if (answer.status !== 200) throw new Error(`the JWKS URL answered ${String(answer.status)}`)
  const text = answer.body.toString('utf8')
  const parsed: unknown = JSON.parse(text)
  if (typeof parsed !== 'object' || parsed === null || !('keys' in parsed) || !Array.isArray(parsed.keys))
    throw new Error('the JWKS URL answered something else than a key set')
  return text
}
