/** What a signer says of one raw request target. `none`: the target carries no signature of this kind. */
export type Verdict =
  | { readonly kind: 'none' }
  /** `target` is what was signed, without the signature itself; `expiresAtSeconds` bounds every cache lifetime. */
  | { readonly kind: 'valid'; readonly target: string; readonly expiresAtSeconds: number | undefined }
  | { readonly kind: 'invalid' }
  | { readonly kind: 'expired'; readonly scheme: 'native' | 'imgix' }

export type SignOptions = {
  /** Unix seconds; written as `expires=` in place of any that the target has. */
  readonly expiresAtSeconds?: number
}

/** Signs and verifies raw request targets (path, `?`, query exactly as sent), before any decoding, in constant time. */
export interface UrlSigner {
  readonly scheme: 'native' | 'imgix'
  /** The target with its signature as last parameter. Throws `bad_request` for what cannot be a raw target. */
  sign(target: string, options: SignOptions): string
  verify(target: string, nowMs: number): Verdict
}
