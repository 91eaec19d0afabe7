/** The whole configuration, validated and frozen; each part is handed its own section and nothing else. */
export type Config = {
  readonly server: ServerConfig
  readonly dataDir: string
  readonly sources: readonly SourceConfig[]
  /** A source that has not answered by then has failed (`source_timeout`). */
  readonly sourceTimeoutMs: number
  /** All originals that are being read, wait for a renderer, or are rendered. */
  readonly originalsInFlightBytes: number
  /** Of how many paths the source state is remembered. */
  readonly sourceStateEntries: number
  /** Fetches from all remote sources together: under way, and waiting for that. */
  readonly fetching: { readonly atOnce: number; readonly waiting: number }
  readonly presets: Readonly<Record<string, string>>
  readonly signing: SigningConfig
  readonly render: RenderConfig
  readonly cache: CacheConfig
  readonly delivery: DeliveryConfig
  readonly log: { readonly level: LogLevel }
  readonly auth: AuthConfig
  readonly database: DatabaseConfig
  /** undefined: there is no upload API. */
  readonly uploads: UploadsConfig | undefined
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
  /** A client that takes no byte of its answer for so long is cut off. */
  readonly stallTimeoutMs: number
  readonly shutdownTimeoutMs: number
  readonly maxConnections: number
  /** Requests of one connection that may come before their answers are out. */
  readonly maxPipelined: number
  /** Of all answers that clients have not taken yet. */
  readonly maxUnsentBytes: number
  /** CIDR blocks of proxies whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly string[]
}

/** A source as configured. */
export type SourceConfig = FolderSourceConfig | RemoteSourceConfig

/** Uploaded images: not configured as a source, but served like one. What each image says of itself comes before this. */
export type UploadSourceConfig = SourcePolicy & { readonly kind: 'uploads' }

/** What holds for a source of any kind. */
export type SourcePolicy = {
  readonly name: string
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
  /** For a remote source: where the origin says nothing about freshness. */
  readonly maxAgeSeconds: number
  readonly staleWhileRevalidateSeconds: number
  readonly maxBytes: number
}

export type FolderSourceConfig = SourcePolicy & { readonly kind: 'folder'; readonly folder: string }

export type RemoteSourceConfig = SourcePolicy & {
  /** The kind of the first origin. The path of a `web` source is a whole URL, and always signed. */
  readonly kind: 's3' | 'http' | 'web'
  /** In order of preference; a later one is asked when those before it fail. */
  readonly origins: readonly [OriginConfig, ...OriginConfig[]]
  /** Whether a later origin is also asked for what an earlier one does not have. */
  readonly fallbackWhenAbsent: boolean
  readonly breaker: BreakerConfig
  readonly freshness: FreshnessConfig
  readonly limits: FetchLimits
  /** CIDR blocks of special addresses that this source may connect to all the same. */
  readonly allowAddresses: readonly string[]
  /** Fetches from this source at once. */
  readonly fetches: number
}

export type OriginConfig = S3OriginConfig | HttpOriginConfig | WebOriginConfig

export type S3OriginConfig = {
  readonly kind: 's3'
  readonly bucket: string
  /** Begins every key; without slashes at its ends. */
  readonly prefix: string
  /** undefined: AWS. */
  readonly endpoint: string | undefined
  readonly region: string | undefined
  readonly forcePathStyle: boolean
  /** undefined: the credential chain of the SDK (AWS_* variables, profiles, roles). */
  readonly credentials: S3Credentials | undefined
}

export type S3Credentials = {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string | undefined
}

export type HttpOriginConfig = {
  readonly kind: 'http'
  /** Scheme, host and base path, without a slash at the end. */
  readonly url: string
  /** Value of the Authorization header, sent to this host only. */
  readonly authorization: string | undefined
}

export type WebOriginConfig = {
  readonly kind: 'web'
  /** Host patterns; empty lists every public host. */
  readonly allowHosts: readonly string[]
}

/** When an origin that has others behind it is skipped. */
export type BreakerConfig = {
  /** Failures in a row. */
  readonly failuresToOpen: number
  /** After it one request tries again; the others go on to the next origin. */
  readonly openMs: number
}

/** How long an original is believed. The origin's own word counts between floor and ceiling. */
export type FreshnessConfig = {
  readonly minFreshSeconds: number
  readonly maxFreshSeconds: number
  /** How long after its freshness an original is served while its origin is down. */
  readonly staleIfErrorSeconds: number
  /** How long absence and refusals are remembered. */
  readonly negativeSeconds: number
}

/** Bounds of one fetch; each has an error of its own. */
export type FetchLimits = {
  readonly connectTimeoutMs: number
  readonly firstByteTimeoutMs: number
  /** Longest silence within the body. */
  readonly idleTimeoutMs: number
  readonly totalTimeoutMs: number
  readonly maxRedirects: number
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
  /** Originals that wait for a renderer. */
  readonly queueBytes: number
  /** What a renderer may keep of recent originals and their decoded pictures; 0 keeps nothing. */
  readonly sharedDecodeBytes: number
  /** Resident MB above which a renderer is replaced after its job. */
  readonly memoryCeilingMB: number
  /** Resident MB above which a renderer is killed at work; more than `memoryCeilingMB`. */
  readonly memoryLimitMB: number
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
  /** Disk space for originals of remote sources. */
  readonly originalBytes: number
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

export type AuthConfig = {
  /** Keys with every scope; those made by `halftone keys` come on top. */
  readonly apiKeys: readonly { readonly name: string; readonly secret: string }[]
  readonly jwt: JwtConfig | undefined
  /** For each owner, and for each address without credentials. */
  readonly requestsPerMinute: number
  /** Wrong credentials from one address. */
  readonly failuresPerMinute: number
}

export type JwtConfig = {
  readonly verifyBy:
    { readonly kind: 'secret'; readonly secret: string } | { readonly kind: 'jwks'; readonly url: string }
  readonly issuer: string | undefined
  readonly audience: string | undefined
  readonly algorithms: readonly string[]
  /** Names of the claims that carry project and scopes. */
  readonly projectClaim: string
  readonly scopesClaim: string
  readonly toleranceSeconds: number
}

/** Where everything is that must not be forgotten: a SQLite file of this machine, or a PostgreSQL database for many. */
export type DatabaseConfig = { readonly file: string } | { readonly postgres: PostgresConfig }

export type PostgresConfig = {
  /** With the password. */
  readonly url: string
  /** At once, beside the one that hears of changes. */
  readonly connections: number
  readonly statementTimeoutMs: number
}

export type UploadsConfig = {
  readonly target: UploadTargetConfig
  /** By name; `default` is always there. */
  readonly projects: Readonly<Record<string, ProjectConfig>>
  /** Origins of pages that may call the API; `*` any. */
  readonly apiOrigins: readonly string[]
  /** Life of a permission to upload. */
  readonly permissionSeconds: number
  /** Larger files are uploaded in parts of `partBytes`. */
  readonly partsFromBytes: number
  readonly partBytes: number
  /** Life of an upload in parts, whose permissions are given anew until then. */
  readonly partsSeconds: number
  /** Largest object that confirming hashes itself, where the store does not tell its SHA-256. */
  readonly confirmHashBytes: number
  /** How long uploaded bytes that were never confirmed, and objects without a row, are left alone. */
  readonly graceSeconds: number
  /** How long records of what is over are kept. */
  readonly retentionSeconds: number
  readonly sweepSeconds: number
  /** Uploads processed at once; each holds its bytes in memory. */
  readonly concurrency: number
  readonly maxAttempts: number
  /** How long a job is tried again that meets nothing but outages. */
  readonly retryForMs: number
  /** Longest time that one try of the job may take. */
  readonly jobTimeoutMs: number
  readonly targetTimeoutMs: number
  readonly signedUrlSeconds: number
  readonly signedUrlMaxSeconds: number
  readonly idempotencySeconds: number
  readonly moderation: ModerationConfig
  /** For what is imported from URLs, and for webhooks, each with the special addresses that they may go to. */
  readonly outgoing: {
    readonly limits: FetchLimits
    readonly allowAddresses: readonly string[]
    readonly webhookAddresses: readonly string[]
  }
}

export type UploadTargetConfig = { readonly kind: 'disk'; readonly folder: string } | S3TargetConfig

export type S3TargetConfig = Omit<S3OriginConfig, 'kind'> & {
  readonly kind: 's3'
  /** Where clients reach the store, when that is not where this server does; in signed URLs only. */
  readonly clientEndpoint: string | undefined
  /** Whether uploads of unknown size may use a presigned POST; R2 and B2 have none. */
  readonly presignedPost: boolean
}

/** What the uploaders of one project may do. */
export type ProjectConfig = {
  readonly types: readonly string[]
  readonly maxBytes: number
  readonly maxPixels: number
  /** For each owner; undefined is no bound. */
  readonly quota: {
    readonly bytes: number | undefined
    readonly objects: number | undefined
    readonly openUploads: number | undefined
  }
  /** `address` does not count what API keys do: a backend is one address for all its users. */
  readonly uploadsPerMinute: { readonly owner: number; readonly address: number }
  /** Uploads without credentials; only ever those of the project `default`. */
  readonly publicUploads: boolean
  readonly visibility: 'public' | 'private'
  readonly kinds: Readonly<Record<string, KindConfig>>
  readonly webhook: { readonly url: string; readonly secret: string } | undefined
}

/** Rules of an association (`avatar`, `banner`); what is absent is as in the project. */
export type KindConfig = {
  readonly types?: readonly string[]
  readonly maxBytes?: number
  readonly minWidth?: number
  readonly minHeight?: number
  readonly maxWidth?: number
  readonly maxHeight?: number
  /** Width to height, with the tolerance it is held to: `{ "ratio": 1, "tolerance": 0.02 }`. */
  readonly aspect?: { readonly ratio: number; readonly tolerance: number }
  readonly animated?: boolean
  readonly visibility?: 'public' | 'private'
}

export type ModerationConfig = {
  readonly webhook: { readonly url: string; readonly secret: string | undefined } | undefined
  readonly banListFile: string | undefined
  /** Bits in which perceptual hashes may differ and still be the same picture. */
  readonly banDistance: number
  readonly clamav: { readonly host: string; readonly port: number } | undefined
  readonly timeoutMs: number
  /** What happens when a moderator cannot be asked: public images wait for review; private ones by this setting. */
  readonly whenUnreachable: 'quarantine' | 'allow-private'
}
