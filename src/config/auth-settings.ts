import { setting } from './setting.ts'
import { apiKeyList, jwksUrl, jwtAlgorithms, pageOrigins } from './api-value-parsers.ts'
import { decimalNumber, plainText, wholeNumber } from './value-parsers.ts'

const claimName = plainText('the name of a claim: 1 to 200 printable characters', /^[!-~]{1,200}$/)

/** Rows of the registry: who may call the API, and how often. */
export const authSettings = {
  apiKeys: setting({
    env: 'HALFTONE_API_KEYS',
    group: 'auth',
    meaning: 'Bearer keys with every scope, beside those made by `halftone keys`, which can be narrower and revoked.',
    value: apiKeyList(),
    default: undefined,
    defaultText: 'none: one is made at the first start',
    secret: true,
  }),
  jwtSecret: setting({
    env: 'HALFTONE_JWT_SECRET',
    group: 'auth',
    meaning: 'Shared secret of the JWTs that your application makes for its users (HS256, HS384, HS512).',
    value: plainText('a secret of at least 32 bytes', /^.{32,4096}$/s),
    default: undefined,
    defaultText: 'none',
    why: 'RFC 7518 3.2 asks for a key as long as the hash; a shorter one can be guessed from one token.',
    secret: true,
  }),
  jwtJwksUrl: setting({
    env: 'HALFTONE_JWT_JWKS_URL',
    group: 'auth',
    meaning:
      'Where the identity provider publishes its keys, on whatever address, in place of HALFTONE_JWT_SECRET. Redirects are not followed.',
    value: jwksUrl(),
    default: undefined,
    defaultText: 'none',
  }),
  jwtIssuer: setting({
    env: 'HALFTONE_JWT_ISSUER',
    group: 'auth',
    meaning: 'The `iss` that JWTs must carry; a must with a JWKS URL.',
    value: plainText('an issuer: 1 to 500 printable characters', /^[!-~]{1,500}$/),
    default: undefined,
    defaultText: 'none',
  }),
  jwtAudience: setting({
    env: 'HALFTONE_JWT_AUDIENCE',
    group: 'auth',
    meaning: 'The `aud` that JWTs must carry; a must with a JWKS URL, whose provider signs for other applications too.',
    value: plainText('an audience: 1 to 500 printable characters', /^[!-~]{1,500}$/),
    default: undefined,
    defaultText: 'none',
  }),
  jwtAlgorithms: setting({
    env: 'HALFTONE_JWT_ALGORITHMS',
    group: 'auth',
    meaning:
      'Algorithms that JWTs may be signed with. By default HS256 with a secret; RS256, PS256, ES256 and EdDSA with a JWKS URL.',
    value: jwtAlgorithms(),
    default: undefined,
    defaultText: 'the usual ones of the kind of key',
  }),
  jwtProjectClaim: setting({
    env: 'HALFTONE_JWT_PROJECT_CLAIM',
    group: 'auth',
    meaning: 'Claim that names the project; a JWT without it is of the project `default`.',
    value: claimName,
    default: 'project',
  }),
  jwtScopesClaim: setting({
    env: 'HALFTONE_JWT_SCOPES_CLAIM',
    group: 'auth',
    meaning: 'Claim with the scopes, a list or a text with blanks between them; without it: own uploads and images.',
    value: claimName,
    default: 'scopes',
  }),
  jwtToleranceSeconds: setting({
    env: 'HALFTONE_JWT_TOLERANCE_SECONDS',
    group: 'auth',
    meaning: 'How far the clock of the one who signs may be off.',
    value: decimalNumber({ min: 0, max: 300, unit: 'seconds' }),
    default: '5',
    why: 'Machines with NTP differ by less than a second.',
  }),
  apiOrigins: setting({
    env: 'HALFTONE_API_ORIGINS',
    group: 'auth',
    meaning: 'Origins of pages whose scripts may call the API; `*` for any.',
    value: pageOrigins(),
    default: undefined,
    defaultText: 'none',
  }),
  requestsPerMinute: setting({
    env: 'HALFTONE_API_REQUESTS_PER_MINUTE',
    group: 'auth',
    meaning: 'Requests to the API a minute, for each owner, and without credentials for each address.',
    value: wholeNumber({ min: 1, max: 10000000 }),
    default: '1200',
    why: '20 a second: an upload takes three requests.',
  }),
  authFailuresPerMinute: setting({
    env: 'HALFTONE_AUTH_FAILURES_PER_MINUTE',
    group: 'auth',
    meaning: 'Wrong credentials that an address may show in a minute before it is refused.',
    value: wholeNumber({ min: 1, max: 1000000 }),
    default: '30',
    why: 'A page with an expired token errs a few times; guessing needs billions.',
  }),
} as const
