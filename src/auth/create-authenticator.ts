import type { AuthConfig } from '../config/config.ts'
import { AppError } from '../errors.ts'
import { createApiKeyAuthenticator, type ApiKeyDeps } from './api-key-authenticator.ts'
import type { Authenticator, Principal } from './authenticator.ts'
import { createConfiguredKeyAuthenticator } from './configured-key-authenticator.ts'
import { createJwtAuthenticator, type JwtDeps } from './jwt-authenticator.ts'

export type AuthenticatorDeps = ApiKeyDeps & JwtDeps & { readonly uploadTokens: Authenticator }

/** Every kind of credentials, each asked in turn; what none of them knows is `unauthenticated`. */
export function createAuthenticator(
  config: AuthConfig,
  deps: AuthenticatorDeps,
): { authenticate(bearer: string, signal: AbortSignal): Promise<Principal> } {
  const kinds: readonly Authenticator[] = [
    createConfiguredKeyAuthenticator(config.apiKeys),
    createApiKeyAuthenticator(deps),
    deps.uploadTokens,
    ...(config.jwt === undefined ? [] : [createJwtAuthenticator(config.jwt, deps)]),
  ]
  return {
    async authenticate(bearer, signal) {
      for (const kind of kinds) {
        const principal = await kind.authenticate(bearer, signal)
        if (principal !== undefined) return principal
      }
      throw new AppError('unauthenticated', { detail: refusalOf(bearer) })
    },
  }
}

function refusalOf(bearer: string): string {
  if (bearer.startsWith('hk_')) return 'This is not a whole API key: expected hk_ and 52 of a to z and 2 to 7 after it.'
  return 'The credentials are of no kind that is accepted here.'
}
