import { jwtAlgorithmKinds } from './api-value-parsers.ts'
import type { AuthConfig, JwtConfig } from './config.ts'
import type { ConfigFault } from './config-fault.ts'
import type { SettingValues } from './settings.ts'

const defaultAlgorithms = { secret: ['HS256'], jwks: ['RS256', 'PS256', 'ES256', 'EdDSA'] } as const

/** Who may call the API. `faults` are the settings that have been found wrong already. */
export function assembleAuth(values: SettingValues): { auth: AuthConfig; faults: ConfigFault[] } {
  const jwt = jwtOf(values)
  const auth: AuthConfig = {
    apiKeys: values.apiKeys ?? [],
    jwt,
    requestsPerMinute: values.requestsPerMinute ?? 1,
    failuresPerMinute: values.authFailuresPerMinute ?? 1,
  }
  return { auth, faults: jwtFaults(values, jwt) }
}

function jwtOf(values: SettingValues): JwtConfig | undefined {
  const { jwtSecret: secret, jwtJwksUrl: url } = values
  if (secret === undefined && url === undefined) return undefined
  return {
    verifyBy: secret === undefined ? { kind: 'jwks', url: url ?? '' } : { kind: 'secret', secret },
    issuer: values.jwtIssuer,
    audience: values.jwtAudience,
    algorithms: values.jwtAlgorithms ?? defaultAlgorithms[secret === undefined ? 'jwks' : 'secret'],
    projectClaim: values.jwtProjectClaim ?? '',
    scopesClaim: values.jwtScopesClaim ?? '',
    toleranceSeconds: values.jwtToleranceSeconds ?? 0,
  }
}

function jwtFaults(values: SettingValues, jwt: JwtConfig | undefined): ConfigFault[] {
  const { jwtSecret, jwtJwksUrl, jwtIssuer, jwtAudience } = values
  if (jwtSecret !== undefined && jwtJwksUrl !== undefined)
    return [fault('HALFTONE_JWT_JWKS_URL', 'either it or HALFTONE_JWT_SECRET, got both. Remove one of them')]
  if (jwt === undefined) return orphanFaults(values)
  return [
    ...algorithmFaults(jwt),
    ...(jwtJwksUrl !== undefined && jwtIssuer === undefined
      ? [fault('HALFTONE_JWT_ISSUER', 'an issuer beside HALFTONE_JWT_JWKS_URL, got none. Set it')]
      : []),
    ...(jwtJwksUrl !== undefined && jwtAudience === undefined
      ? [fault('HALFTONE_JWT_AUDIENCE', 'an audience beside HALFTONE_JWT_JWKS_URL, got none. Set it')]
      : []),
  ]
}

/** A secret for a public key's algorithm, or the other way round, is how tokens are forged. */
function algorithmFaults({ verifyBy, algorithms }: JwtConfig): ConfigFault[] {
  const name = 'HALFTONE_JWT_ALGORITHMS'
  const fitting: readonly string[] = jwtAlgorithmKinds[verifyBy.kind]
  const unfit = algorithms.filter((one) => !fitting.includes(one))
  if (unfit.length > 0) {
    const source = verifyBy.kind === 'secret' ? 'HALFTONE_JWT_SECRET' : 'HALFTONE_JWT_JWKS_URL'
    return [fault(name, `only ${fitting.join(', ')} beside ${source}, got ${unfit.join(', ')}. Correct it`)]
  }
  if (verifyBy.kind === 'jwks') return []
  const neededBytes = Math.max(...algorithms.map((one) => Number(one.slice(2)) / 8))
  const isLongEnough = Buffer.byteLength(verifyBy.secret) >= neededBytes
  return isLongEnough
    ? []
    : [fault('HALFTONE_JWT_SECRET', `${String(neededBytes)} bytes for the algorithms allowed, got fewer. Lengthen it`)]
}

function orphanFaults(values: SettingValues): ConfigFault[] {
  const given = [
    ...(values.jwtIssuer === undefined ? [] : ['HALFTONE_JWT_ISSUER']),
    ...(values.jwtAudience === undefined ? [] : ['HALFTONE_JWT_AUDIENCE']),
    ...(values.jwtAlgorithms === undefined ? [] : ['HALFTONE_JWT_ALGORITHMS']),
  ]
  return given.map((name) => fault(name, 'HALFTONE_JWT_SECRET or HALFTONE_JWT_JWKS_URL with it, got neither. Set one'))
}

function fault(name: string, expectation: string): ConfigFault {
  return { name, message: `expected ${expectation}.` }
}
