/** The whole configuration, validated and frozen; each part is handed its own section and nothing else. */
export type Config = {
  readonly server: ServerConfig
  readonly dataDir: string
  readonly sources: readonly SourceConfig[]
  /** A source that has not answered by then has failed (`source_timeout`). */
  readonly sourceTimeoutMs: number
  /** Of how many paths the source state is remembered. */
  readonly sourceStateEntries: number
  readonly presets: Readonly<Record<string, string>>
  readonly signing: SigningConfig
  readonly render: RenderConfig
  readonly cache: CacheConfig
  readonly delivery: DeliveryConfig
  readonly log: { readonly level: LogLevel }
}

export type LogLevel = 'silent' | 'error' | 'warn' | 'info' | 'debug'

export type ServerConfig = {
  readonly host: string
  readonly port: number
  /** Own listener for /-/metrics; undefined serves it on the main one. */
  readonly metricsPort: number | undefined
  /** Origin in printed and generated URLs, without a trailing slash. */
  readonly publicUrl: string | undefined
  readonly maxTargetLength: number
  readonly requestTimeoutMs: number
  readonly shutdownTimeoutMs: number
  readonly maxConnections: number
}

/** A source as configured; this union grows with the kinds of source. */
export type SourceConfig = {
  readonly name: string
  readonly kind: 'folder'
  readonly folder: string
  /** Served when the Host header names it; undefined matches every host. */
  readonly host: string | undefined
  /** Leading path that selects this source and is cut off, `/` for all. */
  readonly pathPrefix: string
  readonly visibility: 'public' | 'private'
  readonly signed: 'private' | 'always'
  /** Bad values answer 400 instead of being ignored. */
  readonly strict: boolean
  readonly defaultParams: string
  readonly variants: VariantPolicy
  /** The bytes behind a path never change: answers are `immutable`. */
  readonly immutable: boolean
  readonly maxAgeSeconds: number
  readonly staleWhileRevalidateSeconds: number
  readonly maxBytes: number
}

export type VariantPolicy =
  | { readonly kind: 'exact' }
  | { readonly kind: 'snap'; readonly widths: readonly number[]; readonly qualities: readonly number[] }
  | { readonly kind: 'presets-only' }

export type SigningConfig = {
  /** The first signs, all verify. */
  readonly keys: readonly { readonly id: string; readonly secret: string }[]
  readonly imgixTokens: readonly string[]
}

export type RenderConfig = {
  readonly renderers: number
  readonly queueLength: number
  readonly deadlineMs: number
  /** Resident MB above which a renderer is replaced after its job. */
  readonly memoryCeilingMB: number
  /** OS niceness of renderers, 0..19. */
  readonly niceness: number
  readonly jemalloc: 'auto' | 'off'
  /** How long a source that killed two renderers is refused. */
  readonly refuseSeconds: number
  readonly maxPixels: number
  readonly maxFrames: number
  readonly maxOutputSide: number
  readonly avifMaxPixels: number
  readonly avifEffort: number
  readonly webpEffort: number
  readonly mozjpeg: boolean
}

export type CacheConfig = {
  readonly memoryBytes: number
  readonly diskBytes: number
  /** How long a source's state is believed before it is asked again. */
  readonly sourceStateSeconds: number
  /** URLs with a prebuilt answer, per kind of client; 0 switches the hot lane off. */
  readonly hotEntries: number
  /** Bumping it forgets every stored result. */
  readonly epoch: number
}

export type DeliveryConfig = {
  readonly errorMaxAgeSeconds: number
  readonly retryAfterSeconds: number
  readonly corsOrigin: string
}
