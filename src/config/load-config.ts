import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import { assembleAuth } from './assemble-auth.ts'
import { assembleDatabase, databaseFaults, databaseNotices } from './assemble-database.ts'
import { assembleSources } from './assemble-sources.ts'
import type { Places } from './assemble-sources.ts'
import { assembleUploads } from './assemble-uploads.ts'
import type { AuthConfig, Config, RenderConfig, ServerConfig, SourceConfig, UploadsConfig } from './config.ts'
import type { ConfigFault } from './config-fault.ts'
import { received } from './config-fault.ts'
import { readJsonFile } from './read-json-file.ts'
import { nearMisses, readSettings } from './read-settings.ts'
import type { Environment } from './read-settings.ts'
import { laterSharedSettings } from './settings.ts'
import type { SettingValues } from './settings.ts'
import { presetsFileSchema } from './source-schema.ts'

export type LoadedConfig =
  /** Notices are worth a log line, but nothing is wrong; `servingNotices` are of no use to a command that looks and ends. */
  | {
      readonly ok: true
      readonly config: Config
      readonly notices: readonly string[]
      readonly servingNotices: readonly string[]
    }
  /** All faults at once. */
  | { readonly ok: false; readonly faults: readonly ConfigFault[] }

/** The whole configuration from an environment, validated and frozen. Relative paths are taken from `cwd`. */
export function loadConfig(env: Environment, places: Places): LoadedConfig {
  const { values, faults } = readSettings(env, places.cwd)
  const { sources, faults: sourceFaults } = assembleSources(values, places, env)
  const { presets, faults: presetFaults } = loadPresets(values, places)
  const { auth, faults: authFaults } = assembleAuth(values)
  const { uploads, faults: uploadFaults } = assembleUploads(values, places, env)
  const apiFaults = [...authFaults, ...uploadFaults, ...banListFaults(uploads)].filter(
    (fault) => !isToldAlready(fault, faults),
  )
  const ownFaults = [...faults, ...databaseFaults(values), ...sourceFaults, ...presetFaults, ...apiFaults]
  const allFaults = [...ownFaults, ...contradictions(values, sources, faults)]
  if (allFaults.length > 0) return { ok: false, faults: allFaults }
  const config = assembleConfig(whole(values), places, { sources, presets, auth, uploads })
  const servingNotices = databaseNotices(config)
  return { ok: true, config: deepFreeze(config), notices: noticesOf(env, config), servingNotices }
}

/** A setting that could not be read makes no second fault for not being there. */
function isToldAlready({ name }: ConfigFault, faults: readonly ConfigFault[]): boolean {
  const isOfJwt = name.startsWith('HALFTONE_JWT_')
  return faults.some(
    (told) => told.name.replace(/_FILE$/, '') === name || (isOfJwt && told.name.startsWith('HALFTONE_JWT_')),
  )
}

/** The environment of this process; nothing else in src/ reads it. */
export function processEnvironment(): Environment {
  return process.env
}

type WholeValues = { readonly [K in keyof SettingValues]-?: NonNullable<SettingValues[K]> }

/** Every setting that is read below without a default of its own has one in the registry (a test holds this). */
function whole(values: SettingValues): WholeValues {
  return values as WholeValues
}

type AssembledParts = {
  readonly sources: readonly SourceConfig[]
  readonly presets: Readonly<Record<string, string>>
  readonly auth: AuthConfig
  readonly uploads: UploadsConfig | undefined
}

function assembleConfig(
  values: WholeValues,
  places: Places,
  { sources, presets, auth, uploads }: AssembledParts,
): Config {
  const optional: SettingValues = values
  return {
    server: assembleServer(values),
    dataDir: resolve(places.cwd, values.dataDir),
    sources,
    sourceTimeoutMs: milliseconds(values.sourceTimeoutSeconds),
    originalsInFlightBytes: values.originalsInFlightMB * 1_000_000,
    sourceStateEntries: values.sourceStateEntries,
    fetching: { atOnce: values.fetches, waiting: values.fetchQueue },
    presets,
    signing: { keys: optional.signingKeys ?? [], imgixTokens: optional.imgixTokens ?? [] },
    render: assembleRender(values),
    cache: {
      memoryBytes: values.memoryCacheMB * 1_048_576,
      diskBytes: values.diskCacheMB * 1_048_576,
      originalBytes: values.originalCacheMB * 1_048_576,
      sourceStateSeconds: values.sourceStateSeconds,
      hotEntries: values.hotEntries,
      epoch: values.cacheEpoch,
    },
    delivery: {
      errorMaxAgeSeconds: values.errorMaxAgeSeconds,
      retryAfterSeconds: values.retryAfterSeconds,
      corsOrigin: values.corsOrigin,
    },
    log: { level: values.logLevel },
    auth,
    database: assembleDatabase(values, resolve(places.cwd, values.dataDir)),
    uploads,
  }
}

function assembleServer(values: WholeValues): ServerConfig {
  const optional: SettingValues = values
  return {
    host: values.host,
    port: values.port,
    metricsPort: optional.metricsPort,
    publicUrl: optional.publicUrl,
    maxTargetLength: values.maxTargetLength,
    requestTimeoutMs: milliseconds(values.requestTimeoutSeconds),
    stallTimeoutMs: milliseconds(values.stallTimeoutSeconds),
    shutdownTimeoutMs: milliseconds(values.shutdownTimeoutSeconds),
    maxConnections: values.maxConnections,
    maxPipelined: values.pipelinedRequests,
    maxUnsentBytes: values.unsentAnswersMB * 1_000_000,
    trustedProxies: optional.trustedProxies ?? [],
  }
}

function assembleRender(values: WholeValues): RenderConfig {
  const optional: SettingValues = values
  return {
    renderers: optional.renderers ?? availableParallelism(),
    queueLength: values.queueLength,
    deadlineMs: milliseconds(values.renderDeadlineSeconds),
    queueBytes: values.originalsInFlightMB * 1_000_000,
    sharedDecodeBytes: values.sharedDecodeMB * 1_000_000,
    memoryCeilingMB: values.rendererMemoryMB,
    memoryLimitMB: values.rendererMemoryLimitMB,
    niceness: values.rendererNiceness,
    jemalloc: values.jemalloc,
    refuseSeconds: values.refuseSeconds,
    maxPixels: Math.round(values.maxMegapixels * 1e6),
    maxFrames: values.maxFrames,
    maxOutputSide: values.maxOutputSide,
    avifMaxPixels: Math.round(values.avifMaxMegapixels * 1e6),
    avifEffort: values.avifEffort,
    webpEffort: values.webpEffort,
    mozjpeg: values.mozjpeg,
  }
}

function loadPresets(
  values: SettingValues,
  places: Places,
): { presets: Record<string, string>; faults: ConfigFault[] } {
  const shipped = join(places.packageDir, 'config', 'presets.json')
  if (values.presetsFile === undefined && !existsSync(shipped)) return { presets: {}, faults: [] }
  const path = values.presetsFile === undefined ? shipped : resolve(places.cwd, values.presetsFile)
  const file = readJsonFile('HALFTONE_PRESETS_FILE', path, presetsFileSchema)
  return file.ok ? { presets: file.value, faults: [] } : { presets: {}, faults: file.faults }
}

/** Nothing is uploaded past a list that cannot be read, so that is told before the first picture comes. */
function banListFaults(uploads: UploadsConfig | undefined): ConfigFault[] {
  const file = uploads?.moderation.banListFile
  if (file === undefined) return []
  try {
    accessSync(file, constants.R_OK)
    if (statSync(file).isFile()) return []
  } catch {
    // Told below.
  }
  const message = `expected a readable file, got ${received(file, false)}. Make it (it may be empty), or correct the path.`
  return [{ name: 'HALFTONE_BAN_LIST_FILE', message }]
}

/** Settings that are fine alone and make no sense together. */
function contradictions(
  values: SettingValues,
  sources: readonly SourceConfig[],
  faults: readonly ConfigFault[],
): ConfigFault[] {
  const found: ConfigFault[] = []
  const keysAreFaulty = faults.some(({ name }) => /^HALFTONE_(SIGNING_KEYS|IMGIX_TOKENS)(_FILE)?$/.test(name))
  const hasKey = keysAreFaulty || values.signingKeys !== undefined || values.imgixTokens !== undefined
  const locked = sources.filter(
    (source) => source.visibility === 'private' || source.signed === 'always' || source.kind === 'web',
  )
  if (locked.length > 0 && !hasKey) {
    const names = locked.map((source) => source.name).join(', ')
    const message = `expected a key, because every URL of source ${names} must be signed; got none. Set it to kid:secret.`
    found.push({ name: 'HALFTONE_SIGNING_KEYS', message })
  }
  const largest = Math.max(0, ...sources.filter((source) => source.kind !== 'folder').map((source) => source.maxBytes))
  const neededMB = Math.ceil((largest * 8) / 1_048_576)
  if (values.originalCacheMB !== undefined && values.originalCacheMB < neededMB) {
    const message = `expected at least ${String(neededMB)}, eight times the largest original allowed, got ${String(values.originalCacheMB)}. Raise it, or lower HALFTONE_MAX_ORIGINAL_MB.`
    found.push({ name: 'HALFTONE_ORIGINAL_CACHE_MB', message })
  }
  const { rendererMemoryMB, rendererMemoryLimitMB } = values
  if (
    rendererMemoryMB !== undefined &&
    rendererMemoryLimitMB !== undefined &&
    rendererMemoryLimitMB <= rendererMemoryMB
  ) {
    const message = `expected more than HALFTONE_RENDERER_MEMORY_MB (${String(rendererMemoryMB)}), got ${String(rendererMemoryLimitMB)}. Raise it, or lower the other.`
    found.push({ name: 'HALFTONE_RENDERER_MEMORY_LIMIT_MB', message })
  }
  if (values.metricsPort !== undefined && values.metricsPort === values.port) {
    const message = `expected a port other than PORT, got ${String(values.port)} for both. Change one of them.`
    found.push({ name: 'HALFTONE_METRICS_PORT', message })
  }
  return found
}

function noticesOf(env: Environment, config: Config): string[] {
  const unused = laterSharedSettings.filter((name) => env[name] !== undefined && env[name] !== '')
  const weak = config.signing.keys.filter((key) => key.secret.length < 16)
  const exposed = config.sources.filter(
    (source) => source.kind === 'folder' && `${config.dataDir}/`.startsWith(`${source.folder.replace(/\/$/, '')}/`),
  )
  return [
    ...exposed.map(
      (source) => `HALFTONE_DATA_DIR lies inside the folder of source ${source.name}; a folder outside is safer`,
    ),
    ...regionNotices(env, config),
    ...nearMisses(env),
    ...unused.map((name) => `${name} is set, but nothing reads it in this version`),
    ...weak.map(
      (key) =>
        `the secret of signing key ${key.id} is short; 16 random characters or more cannot be guessed from a signed URL`,
    ),
  ]
}

/** A profile may name the region as well, so its absence here is no fault yet. */
function regionNotices(env: Environment, { uploads }: Config): string[] {
  const target = uploads?.target
  if (target?.kind !== 's3' || target.region !== undefined || target.endpoint !== undefined) return []
  if (env.AWS_REGION !== undefined && env.AWS_REGION !== '') return []
  const unless = 'unless an AWS profile names the region'
  return [
    `HALFTONE_UPLOADS names the bucket ${target.bucket}, but S3_REGION is not set: no upload will work ${unless}; halftone doctor tries it`,
  ]
}

function milliseconds(seconds: number): number {
  return Math.round(seconds * 1000)
}

function deepFreeze<T extends object>(value: T): T {
  for (const member of Object.values(value))
    if (typeof member === 'object' && member !== null) deepFreeze(member as object)
  return Object.freeze(value)
}
