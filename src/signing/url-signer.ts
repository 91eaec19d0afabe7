/** What a signer says of one raw request target. `none`: the target carries no signature of this kind. */
export type Verdict =
  | { readonly kind: 'none' }
  /** `target` is what was signed, without the signature itself; `expiresAtSeconds` bounds every cache lifetime. */
  | { readonly kind: 'valid'; readonly target: string; readonly expiresAtSeconds: number | undefined }
  | { readonly kind: 'invalid' }
  | { readonly kind: 'expired'; readonly scheme: 'native' | 'imgix' }

/** Signs and verifies raw request targets (path, `?`, query exactly as sent), before any decoding, in constant time. */
export interface UrlSigner {
  readonly scheme: 'native' | 'imgix'
  sign(target: string, options: { readonly expiresAtSeconds?: number }): string
  verify(target: string, nowMs: number): Verdict
}
