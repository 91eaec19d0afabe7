import { AppError } from '../errors.ts'
import { apiKeyHash, isApiKeySecret } from './api-key-secret.ts'
import { isScope, type Authenticator } from './authenticator.ts'

/** A stored key, as far as it matters here; structurally the `ApiKeyRecord` of the database. */
export type StoredApiKey = {
  readonly id: string
  readonly name: string
  readonly project: string
  readonly scopes: readonly string[]
  readonly lastUsedAtMs: number | undefined
  readonly revokedAtMs: number | undefined
}

export type ApiKeyDeps = {
  readonly findByHash: (secretHash: string) => Promise<StoredApiKey | undefined>
  readonly touch: (id: string, nowMs: number) => Promise<void>
  readonly hasProject: (name: string) => boolean
  /** A last use that could not be written; nobody is refused for it. */
  readonly onError: (error: unknown) => void
  readonly now: () => number
}

const touchEveryMs = 60_000
const maxTouched = 10_000

/** Keys made by `halftone keys`, looked up by the SHA-256 of their secret. */
export function createApiKeyAuthenticator(deps: ApiKeyDeps): Authenticator {
  const touched = new Map<string, number>()

  /** At most once a minute, in the background: a write for every request would cost more than the request. */
  function noteUse(key: StoredApiKey, nowMs: number): void {
    const lastMs = Math.max(key.lastUsedAtMs ?? 0, touched.get(key.id) ?? 0)
    if (nowMs - lastMs < touchEveryMs) return
    if (touched.size >= maxTouched) touched.clear()
    touched.set(key.id, nowMs)
    deps.touch(key.id, nowMs).catch(deps.onError)
  }

  return {
    async authenticate(bearer, signal) {
      if (!isApiKeySecret(bearer)) return undefined
      const key = await deps.findByHash(apiKeyHash(bearer))
      signal.throwIfAborted()
      if (key === undefined || key.revokedAtMs !== undefined || !deps.hasProject(key.project))
        throw new AppError('unauthenticated', { detail: 'The API key is not known or has been revoked.' })
      noteUse(key, deps.now())
      return {
        kind: 'key',
        project: key.project,
        owner: `key:${key.name}`,
        scopes: new Set(key.scopes.filter(isScope)),
        name: key.id,
      }
    },
  }
}
