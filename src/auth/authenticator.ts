/** What a caller may do; `admin` is all of them. */
export const scopes = [
  'uploads:write',
  'images:read',
  'images:write',
  'images:share',
  'images:review',
  'images:purge',
  'owners:any',
  'admin',
] as const

export type Scope = (typeof scopes)[number]

export function isScope(text: string): text is Scope {
  return (scopes as readonly string[]).includes(text)
}

/** Who is calling. */
export type Principal = {
  readonly kind: 'key' | 'jwt' | 'anonymous'
  readonly project: string
  /** Owner of what this caller uploads: the subject of a JWT, `key:<name>`, `anonymous:<hash of the address>`; no two kinds collide. */
  readonly owner: string
  readonly scopes: ReadonlySet<Scope>
  /** For logs and rate limits: the key's id, the subject. Never a secret. */
  readonly name: string
  /** Of an anonymous upload's own token: the one upload it opens. */
  readonly uploadId?: string
}

/** Reads credentials. Undefined where they are not of its kind; throws `unauthenticated` where they are and are wrong. */
export interface Authenticator {
  authenticate(bearer: string, signal: AbortSignal): Promise<Principal | undefined>
}
