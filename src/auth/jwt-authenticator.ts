import { decodeProtectedHeader, errors, jwtVerify, type JWTPayload, type JWTVerifyOptions } from 'jose'
import { z } from 'zod'
import type { JwtConfig } from '../config/config.ts'
import { AppError } from '../errors.ts'
import { isScope, type Authenticator, type Principal, type Scope } from './authenticator.ts'
import { createJwksKeys, type FetchKeySet, type JwksKeys } from './jwks-keys.ts'

export type JwtDeps = {
  readonly hasProject: (name: string) => boolean
  readonly now: () => number
  readonly fetchKeySet: FetchKeySet
}

/** What a caller without a scopes claim may do: upload, and everything with own images. */
const ownScopes: readonly Scope[] = ['uploads:write', 'images:read', 'images:write', 'images:share']

/** RFC 7519 5.1 and RFC 9068; a token of ours for uploads or shares names another, and opens only that. */
const acceptedTypes: readonly (string | undefined)[] = [
  undefined,
  'jwt',
  'application/jwt',
  'at+jwt',
  'application/at+jwt',
]

const maxTokenLength = 8192
/** Owners are columns and log fields; the names of the other kinds of owner are not for users to take. */
const subjectSchema = z
  .string()
  .regex(/^[^\p{Cc}]{1,255}$/u)
  .refine((text) => !/^(key|anonymous):/.test(text))
const scopesSchema = z.union([z.array(z.string()).max(1000), z.string().transform((text) => text.split(' '))])

/** JWTs of the application (shared secret) or of its identity provider (JWKS). Throws `unauthenticated`, `auth_unavailable`. */
export function createJwtAuthenticator(config: JwtConfig, deps: JwtDeps): Authenticator {
  const verify = createVerifier(config, deps.fetchKeySet)
  return {
    async authenticate(bearer, signal) {
      if (!isJwt(bearer)) return undefined
      if (bearer.length > maxTokenLength) throw refusal('The token is too long.')
      if (!acceptedTypes.includes(typeOf(bearer)?.toLowerCase())) throw refusal('The token is of another type.')
      const payload = await verify(bearer, deps.now())
      signal.throwIfAborted()
      return principalOf(payload, config, deps)
    },
  }
}

/** Three pieces between dots: a signed JWT in its compact form. */
export function isJwt(bearer: string): boolean {
  return /^[\w-]+\.[\w-]+\.[\w-]*$/.test(bearer)
}

/** The `typ` of a JWT, not verified; undefined where it has none. Throws `unauthenticated` for a broken header. */
export function typeOf(jwt: string): string | undefined {
  try {
    return decodeProtectedHeader(jwt).typ
  } catch (error) {
    throw refusal('The token is malformed.', error)
  }
}

function createVerifier(
  config: JwtConfig,
  fetchKeySet: FetchKeySet,
): (jwt: string, nowMs: number) => Promise<JWTPayload> {
  const options = {
    algorithms: [...config.algorithms],
    ...(config.issuer === undefined ? {} : { issuer: config.issuer }),
    ...(config.audience === undefined ? {} : { audience: config.audience }),
    clockTolerance: config.toleranceSeconds,
    // A token without an end could never be taken back.
    requiredClaims: ['sub', 'exp'],
  }
  const { verifyBy } = config
  if (verifyBy.kind === 'jwks') {
    const keys = createJwksKeys(verifyBy.url, fetchKeySet)
    return (jwt, nowMs) => verifyByJwks(jwt, keys, { ...options, currentDate: new Date(nowMs) })
  }
  const secret = new TextEncoder().encode(verifyBy.secret)
  return async (jwt, nowMs) => {
    try {
      return (await jwtVerify(jwt, secret, { ...options, currentDate: new Date(nowMs) })).payload
    } catch (error) {
      throw refusalOf(error)
    }
  }
}

async function verifyByJwks(jwt: string, keys: JwksKeys, options: JWTVerifyOptions): Promise<JWTPayload> {
  try {
    return (await jwtVerify(jwt, keys.resolve, options)).payload
  } catch (error) {
    if (error instanceof errors.JWKSMultipleMatchingKeys) return verifyByAny(jwt, error, options)
    if (error instanceof errors.JWKSNoMatchingKey && keys.isStale()) throw unavailable(error)
    throw isOfToken(error) ? refusalOf(error) : unavailable(error)
  }
}

/** A token without `kid` beside several keys of its algorithm: one of them may have made it. */
async function verifyByAny(
  jwt: string,
  several: errors.JWKSMultipleMatchingKeys,
  options: JWTVerifyOptions,
): Promise<JWTPayload> {
  for await (const key of several) {
    try {
      return (await jwtVerify(jwt, key, options)).payload
    } catch (error) {
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw refusalOf(error)
    }
  }
  throw refusalOf(several)
}

/** Everything else failed on the way to the keys, for which the caller is not to blame. */
function isOfToken(error: unknown): boolean {
  return (
    error instanceof errors.JOSEError &&
    !(error instanceof errors.JWKSTimeout) &&
    !(error instanceof errors.JWKSInvalid) &&
    error.code !== 'ERR_JOSE_GENERIC'
  )
}

function principalOf(payload: JWTPayload, config: JwtConfig, deps: JwtDeps): Principal {
  const subject = subjectSchema.safeParse(payload.sub)
  if (!subject.success) throw refusal('The token has no usable subject.')
  const project = claimOf(payload, config.projectClaim) ?? 'default'
  if (typeof project !== 'string' || !deps.hasProject(project)) throw refusal('The token names no project that exists.')
  return {
    kind: 'jwt',
    project,
    owner: subject.data,
    scopes: new Set(scopesOf(claimOf(payload, config.scopesClaim))),
    name: subject.data,
  }
}

/** Scopes of other applications are ignored: providers put them all into one claim. */
function scopesOf(claim: unknown): readonly Scope[] {
  if (claim === undefined) return ownScopes
  const parsed = scopesSchema.safeParse(claim)
  if (!parsed.success) throw refusal('The scopes of the token are neither a list nor a text.')
  return parsed.data.filter(isScope)
}

function claimOf(payload: JWTPayload, name: string): unknown {
  return Object.hasOwn(payload, name) ? payload[name] : undefined
}

function refusalOf(error: unknown): AppError {
  if (error instanceof errors.JWTExpired) return refusal('The token has expired.', error)
  if (error instanceof errors.JWTClaimValidationFailed)
    return refusal(
      `The claim ${error.claim} ${expectedClaims[error.claim] ?? 'is missing or not the one expected'}.`,
      error,
    )
  return refusal('The token could not be verified.', error)
}

const expectedClaims: Readonly<Record<string, string>> = {
  exp: 'must be a number, the time in Unix seconds at which the token ends',
  sub: 'must be a text, the user whose token it is',
}

function refusal(detail: string, cause?: unknown): AppError {
  return new AppError('unauthenticated', { detail, cause })
}

function unavailable(cause: unknown): AppError {
  return new AppError('auth_unavailable', { cause })
}
