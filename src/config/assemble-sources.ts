import { statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { assembleRemote, parseRemoteSource } from './assemble-origins.ts'
import type { OriginContext } from './assemble-origins.ts'
import type { SourceConfig, SourcePolicy, VariantPolicy } from './config.ts'
import type { ConfigFault } from './config-fault.ts'
import { received } from './config-fault.ts'
import { readJsonFile } from './read-json-file.ts'
import type { Environment } from './read-settings.ts'
import { sourceKeys, sourcesFileSchema } from './source-schema.ts'
import type { PolicyEntry, SourceEntry } from './source-schema.ts'
import type { SettingValues } from './settings.ts'

export type Places = { readonly cwd: string; readonly packageDir: string }

const sourceForms = 'an existing folder, s3://bucket/prefix, https://host/base or web'

/** The sources from HALFTONE_SOURCES_FILE, or the one of HALFTONE_SOURCE, or the sample folder. */
export function assembleSources(
  values: SettingValues,
  places: Places,
  env: Environment,
): { sources: SourceConfig[]; faults: ConfigFault[] } {
  const defaults = policyDefaults(values)
  if (values.sourcesFile === undefined) return singleSource(values, defaults, places, env)
  if (values.source !== undefined) {
    const message = 'expected either HALFTONE_SOURCE or HALFTONE_SOURCES_FILE, got both. Remove one of them.'
    return { sources: [], faults: [{ name: 'HALFTONE_SOURCE', message }] }
  }
  const path = resolve(places.cwd, values.sourcesFile)
  const file = readJsonFile('HALFTONE_SOURCES_FILE', path, sourcesFileSchema, sourceKeys)
  if (!file.ok) return { sources: [], faults: file.faults }
  const context: OriginContext = { values, env, baseDir: dirname(path), faults: [] }
  const sources = file.value.sources.map((entry, index) => fromEntry(entry, index, defaults, context))
  const faults = sources.flatMap((source, index) => [
    ...(source.kind === 'folder' ? folderFaults(`${placeOf(index)}.folder`, source.folder) : []),
    ...clashes(source, index, sources),
  ])
  return { sources, faults: [...context.faults, ...faults] }
}

type PolicyDefaults = Omit<SourcePolicy, 'name' | 'host' | 'pathPrefix'> & {
  readonly ladder: { readonly widths: readonly number[]; readonly qualities: readonly number[] }
}

function policyDefaults(values: SettingValues): PolicyDefaults {
  const ladder = { widths: values.snapWidths ?? [], qualities: values.snapQualities ?? [] }
  const kind = values.variants ?? 'exact'
  return {
    visibility: values.visibility ?? 'public',
    signed: values.signed ?? 'private',
    strict: values.strict ?? false,
    defaultParams: values.defaultParams ?? '',
    variants: kind === 'snap' ? { kind, ...ladder } : { kind },
    immutable: values.immutable ?? false,
    maxAgeSeconds: values.maxAgeSeconds ?? 0,
    staleWhileRevalidateSeconds: values.staleWhileRevalidateSeconds ?? 0,
    maxBytes: bytesOf(values.maxOriginalMB ?? 0),
    ladder,
  }
}

function singleSource(
  values: SettingValues,
  { ladder: _ladder, ...defaults }: PolicyDefaults,
  places: Places,
  env: Environment,
): { sources: SourceConfig[]; faults: ConfigFault[] } {
  const policy: SourcePolicy = { name: 'default', host: undefined, pathPrefix: '/', ...defaults }
  const remote = values.source === undefined ? undefined : parseRemoteSource(values.source)
  if (typeof remote === 'string') return { sources: [], faults: [{ name: 'HALFTONE_SOURCE', message: `${remote}.` }] }
  if (remote !== undefined) {
    const context: OriginContext = { values, env, baseDir: places.cwd, faults: [] }
    const parts = assembleRemote({ name: policy.name, ...remote }, 'HALFTONE_SOURCE', context)
    return { sources: [{ ...policy, ...parts }], faults: context.faults }
  }
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(values.source ?? '')?.[1]
  if (scheme !== undefined) {
    // The address itself may hold a secret, so it is not quoted.
    const message = `expected ${sourceForms}, got an address that begins with ${scheme}://. Correct it.`
    return { sources: [], faults: [{ name: 'HALFTONE_SOURCE', message }] }
  }
  const samples = join(places.packageDir, 'samples')
  const folder = values.source === undefined ? samples : resolve(places.cwd, values.source)
  // The samples are drawn at the first start, after the configuration was read.
  const faults = folder === samples ? [] : folderFaults('HALFTONE_SOURCE', folder, sourceForms)
  return { sources: [{ ...policy, kind: 'folder', folder }], faults }
}

function fromEntry(entry: SourceEntry, index: number, defaults: PolicyDefaults, context: OriginContext): SourceConfig {
  const policy = policyOfEntry(entry, defaults)
  if ('folder' in entry) return { ...policy, kind: 'folder', folder: resolve(context.baseDir, entry.folder) }
  return { ...policy, ...assembleRemote(entry, placeOf(index), context) }
}

function policyOfEntry(entry: PolicyEntry, { ladder, ...defaults }: PolicyDefaults): SourcePolicy {
  return {
    name: entry.name,
    host: entry.host?.toLowerCase(),
    pathPrefix: entry.pathPrefix === undefined ? '/' : entry.pathPrefix.replace(/(?<=.)\/$/, ''),
    visibility: entry.visibility ?? defaults.visibility,
    signed: entry.signed ?? defaults.signed,
    strict: entry.strict ?? defaults.strict,
    defaultParams: entry.defaultParams ?? defaults.defaultParams,
    variants: entry.variants === undefined ? defaults.variants : variantsOf(entry.variants, ladder),
    immutable: entry.immutable ?? defaults.immutable,
    maxAgeSeconds: entry.maxAgeSeconds ?? defaults.maxAgeSeconds,
    staleWhileRevalidateSeconds: entry.staleWhileRevalidateSeconds ?? defaults.staleWhileRevalidateSeconds,
    maxBytes: entry.maxOriginalMB === undefined ? defaults.maxBytes : bytesOf(entry.maxOriginalMB),
  }
}

function placeOf(index: number): string {
  return `HALFTONE_SOURCES_FILE sources[${String(index)}]`
}

function variantsOf(variants: NonNullable<PolicyEntry['variants']>, ladder: PolicyDefaults['ladder']): VariantPolicy {
  if (variants.kind !== 'snap') return variants
  return {
    kind: 'snap',
    widths: sorted(variants.widths ?? ladder.widths),
    qualities: sorted(variants.qualities ?? ladder.qualities),
  }
}

function sorted(numbers: readonly number[]): number[] {
  return [...new Set(numbers)].sort((a, b) => a - b)
}

function bytesOf(megabytes: number): number {
  return Math.round(megabytes * 1e6)
}

function folderFaults(name: string, folder: string, expected = 'an existing folder'): ConfigFault[] {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return []
  return [{ name, message: `expected ${expected}, got ${received(folder, false)}. Make it, or correct the path.` }]
}

/** Two sources of one name would share cache keys, and of two with one host and prefix the second could never answer. */
function clashes(source: SourceConfig, index: number, sources: readonly SourceConfig[]): ConfigFault[] {
  const earlier = sources.slice(0, index)
  const faults: ConfigFault[] = []
  const at = placeOf(index)
  if (earlier.some((other) => other.name === source.name)) {
    faults.push({ name: `${at}.name`, message: `expected a name of its own, got "${source.name}" again. Rename one.` })
  }
  if (earlier.some((other) => other.host === source.host && other.pathPrefix === source.pathPrefix)) {
    faults.push({
      name: at,
      message: `expected a host and pathPrefix of its own, got those of an earlier source. Change one.`,
    })
  }
  return faults
}
