/** Which optional output formats the client says it can show; made from `Accept` by `detectCapabilities`. */
export type Capabilities = { readonly avif: boolean; readonly webp: boolean }
