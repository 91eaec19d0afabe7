import type {
  FetchLimits,
  FreshnessConfig,
  OriginConfig,
  RemoteSourceConfig,
  S3Credentials,
  SourcePolicy,
} from './config.ts'
import type { ConfigFault } from './config-fault.ts'
import type { Environment } from './read-settings.ts'
import { secretOf } from './secret-of.ts'
import type { FallbackEntry, OriginEntry, RemoteEntry } from './source-schema.ts'
import type { SettingValues } from './settings.ts'

/** Where the values of an entry come from besides itself; faults are collected in `faults`. */
export type OriginContext = {
  readonly values: SettingValues
  readonly env: Environment
  /** Relative paths of secret files start here. */
  readonly baseDir: string
  readonly faults: ConfigFault[]
}

export type RemoteParts = Omit<RemoteSourceConfig, keyof SourcePolicy>

/** Enough that one bad minute of single requests does not open it; few enough that at most these wait for nothing. */
const defaultBreakerFailures = 5
const defaultBreakerSeconds = 10

/** Everything of a remote source but its policy. `place` leads the faults. */
export function assembleRemote(entry: RemoteEntry, place: string, context: OriginContext): RemoteParts {
  const behind: FallbackEntry = entry.kind === 'web' ? {} : entry
  return {
    kind: entry.kind,
    origins: [
      originOf(entry, place, context),
      ...(behind.fallbacks ?? []).map((one, index) => originOf(one, `${place}.fallbacks[${String(index)}]`, context)),
    ],
    fallbackWhenAbsent: behind.fallbackWhenAbsent ?? false,
    breaker: {
      failuresToOpen: behind.breakerFailures ?? defaultBreakerFailures,
      openMs: milliseconds(behind.breakerSeconds ?? defaultBreakerSeconds),
    },
    freshness: freshnessOf(entry, context.values),
    limits: limitsOf(entry, context.values),
    allowAddresses: entry.allowAddresses ?? context.values.allowAddresses ?? [],
    fetches: entry.fetches ?? context.values.sourceFetches ?? 1,
  }
}

/** The entry that HALFTONE_SOURCE stands for; undefined for a folder, a message when it is neither. */
export function parseRemoteSource(text: string): OriginEntry | string | undefined {
  if (text === 'web') return { kind: 'web' }
  const scheme = /^(s3|https?):\/\//i.exec(text)?.[1]?.toLowerCase()
  if (scheme === undefined) return undefined
  // The address itself may hold a secret, so it is never quoted.
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isPlain = url !== undefined && url.hostname !== '' && !/[?#@]/.test(text)
  if (!isPlain) return `expected ${scheme}://${scheme === 's3' ? 'bucket/prefix' : 'host/base'} without credentials`
  if (scheme !== 's3') return { kind: 'http', url: text }
  const [bucket = '', ...prefix] = text.slice('s3://'.length).split('/')
  return { kind: 's3', bucket, prefix: prefix.join('/') }
}

function originOf(entry: OriginEntry, place: string, context: OriginContext): OriginConfig {
  const { values } = context
  switch (entry.kind) {
    case 's3':
      return {
        kind: 's3',
        bucket: entry.bucket,
        prefix: (entry.prefix ?? '').replace(/^\/+|\/+$/g, ''),
        endpoint: entry.endpoint ?? values.s3Endpoint,
        region: entry.region ?? values.s3Region,
        forcePathStyle: entry.forcePathStyle ?? values.s3ForcePathStyle ?? false,
        credentials: entry.credentials && credentialsOf(entry.credentials, `${place}.credentials`, context),
      }
    case 'http':
      return {
        kind: 'http',
        url: entry.url.replace(/\/+$/, ''),
        authorization: entry.authorization && secretOf(entry.authorization, `${place}.authorization`, context),
      }
    case 'web':
      return { kind: 'web', allowHosts: entry.allowHosts ?? values.allowHosts ?? [] }
  }
}

type CredentialsEntry = NonNullable<Extract<OriginEntry, { kind: 's3' }>['credentials']>

function credentialsOf(entry: CredentialsEntry, place: string, context: OriginContext): S3Credentials {
  return {
    accessKeyId: secretOf(entry.accessKeyId, `${place}.accessKeyId`, context),
    secretAccessKey: secretOf(entry.secretAccessKey, `${place}.secretAccessKey`, context),
    sessionToken: entry.sessionToken && secretOf(entry.sessionToken, `${place}.sessionToken`, context),
  }
}

type LimitName = 'connectSeconds' | 'firstByteSeconds' | 'idleSeconds' | 'totalSeconds' | 'maxRedirects'

function freshnessOf(entry: RemoteEntry, values: SettingValues): FreshnessConfig {
  const minFreshSeconds = entry.minFreshSeconds ?? values.minFreshSeconds ?? 0
  return {
    minFreshSeconds,
    maxFreshSeconds: Math.max(minFreshSeconds, entry.maxFreshSeconds ?? values.maxFreshSeconds ?? 0),
    staleIfErrorSeconds: entry.staleIfErrorSeconds ?? values.staleIfErrorSeconds ?? 0,
    negativeSeconds: entry.negativeSeconds ?? values.negativeSeconds ?? 0,
  }
}

/** What an entry leaves out comes from the settings. */
export function limitsOf(entry: Pick<RemoteEntry, LimitName>, values: SettingValues): FetchLimits {
  return {
    connectTimeoutMs: milliseconds(entry.connectSeconds ?? values.connectSeconds),
    firstByteTimeoutMs: milliseconds(entry.firstByteSeconds ?? values.firstByteSeconds),
    idleTimeoutMs: milliseconds(entry.idleSeconds ?? values.idleSeconds),
    totalTimeoutMs: milliseconds(entry.totalSeconds ?? values.sourceTimeoutSeconds),
    maxRedirects: entry.maxRedirects ?? values.maxRedirects ?? 0,
  }
}

function milliseconds(seconds: number | undefined): number {
  return Math.round((seconds ?? 0) * 1000)
}
