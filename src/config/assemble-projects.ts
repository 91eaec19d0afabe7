import { dirname, resolve } from 'node:path'
import { isWebhookSecret } from './api-value-parsers.ts'
import type { Places } from './assemble-sources.ts'
import type { KindConfig, ProjectConfig } from './config.ts'
import type { ConfigFault } from './config-fault.ts'
import { projectFileKeys, projectsFileSchema, type KindEntry, type ProjectEntry } from './project-schema.ts'
import { readJsonFile } from './read-json-file.ts'
import type { Environment } from './read-settings.ts'
import { secretOf, type SecretPlaces } from './secret-of.ts'
import type { SettingValues } from './settings.ts'

/** Where no file says otherwise: large enough for a sharp screen, and still pictures. */
const shippedKinds: Readonly<Record<string, KindConfig>> = {
  avatar: { maxBytes: 20_000_000, minWidth: 128, minHeight: 128, animated: false },
  banner: { minWidth: 1200, minHeight: 300, animated: false },
}

/** The projects of HALFTONE_PROJECTS_FILE, each filled up from the scalar settings; `default` is always among them. */
export function assembleProjects(
  values: SettingValues,
  places: Places,
  env: Environment,
): { projects: Record<string, ProjectConfig>; faults: ConfigFault[] } {
  const standard = standardProject(values)
  if (values.projectsFile === undefined) return { projects: { default: standard }, faults: [] }
  const path = resolve(places.cwd, values.projectsFile)
  const file = readJsonFile('HALFTONE_PROJECTS_FILE', path, projectsFileSchema, projectFileKeys)
  if (!file.ok) return { projects: { default: standard }, faults: file.faults }
  const secrets: SecretPlaces = { env, baseDir: dirname(path), faults: [] }
  const projects = Object.entries(file.value.projects).map(
    ([name, entry]) => [name, projectOf(entry, `HALFTONE_PROJECTS_FILE projects.${name}`, standard, secrets)] as const,
  )
  const misplaced = projects.filter(([name, project]) => name !== 'default' && project.publicUploads)
  const faults = misplaced.map(([name]) => ({
    name: `HALFTONE_PROJECTS_FILE projects.${name}.publicUploads`,
    message: 'expected true in the project default only, where uploads without credentials belong. Remove it.',
  }))
  return { projects: { default: standard, ...Object.fromEntries(projects) }, faults: [...secrets.faults, ...faults] }
}

function standardProject(values: SettingValues): ProjectConfig {
  return {
    types: values.uploadTypes ?? [],
    maxBytes: bytesOf(values.uploadMaxMB ?? 0),
    maxPixels: Math.round((values.uploadMaxMegapixels ?? values.maxMegapixels ?? 0) * 1e6),
    quota: {
      bytes: values.uploadQuotaMB === undefined ? undefined : bytesOf(values.uploadQuotaMB),
      objects: values.uploadQuotaObjects,
      openUploads: values.uploadQuotaOpen,
    },
    uploadsPerMinute: { owner: values.uploadsPerMinuteOwner ?? 1, address: values.uploadsPerMinuteAddress ?? 1 },
    publicUploads: values.publicUploads ?? false,
    visibility: values.uploadVisibility ?? 'private',
    kinds: shippedKinds,
    webhook:
      values.webhookUrl === undefined || values.webhookSecret === undefined
        ? undefined
        : { url: values.webhookUrl, secret: values.webhookSecret },
  }
}

function projectOf(entry: ProjectEntry, place: string, standard: ProjectConfig, secrets: SecretPlaces): ProjectConfig {
  const { maxMB, objects, openUploads } = entry.quota ?? {}
  return {
    types: entry.types ?? standard.types,
    maxBytes: entry.maxMB === undefined ? standard.maxBytes : bytesOf(entry.maxMB),
    maxPixels: entry.maxMegapixels === undefined ? standard.maxPixels : Math.round(entry.maxMegapixels * 1e6),
    quota: {
      bytes: maxMB === undefined ? standard.quota.bytes : maxMB === null ? undefined : bytesOf(maxMB),
      objects: objects === undefined ? standard.quota.objects : (objects ?? undefined),
      openUploads: openUploads === undefined ? standard.quota.openUploads : (openUploads ?? undefined),
    },
    uploadsPerMinute: {
      owner: entry.uploadsPerMinute?.owner ?? standard.uploadsPerMinute.owner,
      address: entry.uploadsPerMinute?.address ?? standard.uploadsPerMinute.address,
    },
    // What is open to everybody is never taken over from another project.
    publicUploads: entry.publicUploads ?? (place.endsWith('.default') && standard.publicUploads),
    visibility: entry.visibility ?? standard.visibility,
    kinds: entry.kinds === undefined ? standard.kinds : mapValues(entry.kinds, kindOf),
    webhook: entry.webhook === undefined ? standard.webhook : webhookOf(entry.webhook, `${place}.webhook`, secrets),
  }
}

function kindOf({ maxMB, ...rules }: KindEntry): KindConfig {
  const given = Object.fromEntries(Object.entries(rules).filter(([, rule]) => rule !== undefined))
  // Left out, not undefined: the rules are spread over those of the project.
  return { ...(given as KindConfig), ...(maxMB === undefined ? {} : { maxBytes: bytesOf(maxMB) }) }
}

function webhookOf(
  entry: NonNullable<ProjectEntry['webhook']> | null,
  place: string,
  secrets: SecretPlaces,
): ProjectConfig['webhook'] {
  if (entry === null) return undefined
  const known = secrets.faults.length
  const secret = secretOf(entry.secret, `${place}.secret`, secrets)
  if (secrets.faults.length === known && !isWebhookSecret(secret))
    secrets.faults.push({
      name: `${place}.secret`,
      message: 'expected whsec_ and 24 to 64 bytes in base64, got something else, which is not shown. Correct it.',
    })
  return { url: entry.url, secret }
}

function mapValues<A, B>(record: Readonly<Record<string, A>>, change: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]))
}

function bytesOf(megabytes: number): number {
  return Math.round(megabytes * 1e6)
}
