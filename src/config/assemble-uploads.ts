import { join, resolve } from 'node:path'
import { limitsOf } from './assemble-origins.ts'
import { assembleProjects } from './assemble-projects.ts'
import type { Places } from './assemble-sources.ts'
import type { ModerationConfig, UploadsConfig, UploadTargetConfig } from './config.ts'
import type { ConfigFault } from './config-fault.ts'
import type { Environment } from './read-settings.ts'
import type { SettingValues } from './settings.ts'

/** Hosts whose S3 has no POST Object: Cloudflare R2 and Backblaze B2. */
const withoutPost = /\.(r2\.cloudflarestorage\.com|backblazeb2\.com)$/i

/** The upload API as configured; undefined when it is off. */
export function assembleUploads(
  values: SettingValues,
  places: Places,
  env: Environment,
): { uploads: UploadsConfig | undefined; faults: ConfigFault[] } {
  const target = targetOf(values, places)
  const { projects, faults } = assembleProjects(values, places, env)
  const allFaults = [...faults, ...contradictions(values)]
  if (target === undefined) return { uploads: undefined, faults: allFaults }
  const uploads = {
    target,
    projects,
    apiOrigins: values.apiOrigins ?? [],
    permissionSeconds: values.permissionSeconds ?? 0,
    partsFromBytes: bytesOf(values.partsFromMB),
    partBytes: bytesOf(values.partMB),
    confirmHashBytes: bytesOf(values.confirmHashMB),
    partsSeconds: Math.round((values.partsHours ?? 0) * 3600),
    graceSeconds: values.uploadGraceSeconds ?? 0,
    retentionSeconds: (values.uploadRetentionDays ?? 0) * 86_400,
    sweepSeconds: values.uploadSweepSeconds ?? 0,
    concurrency: values.uploadConcurrency ?? 1,
    maxAttempts: values.uploadAttempts ?? 1,
    retryForMs: milliseconds((values.uploadRetryHours ?? 0) * 3600),
    jobTimeoutMs: milliseconds(values.uploadJobSeconds),
    targetTimeoutMs: milliseconds(values.uploadTargetSeconds),
    signedUrlSeconds: values.signedUrlSeconds ?? 0,
    signedUrlMaxSeconds: values.signedUrlMaxSeconds ?? 0,
    idempotencySeconds: values.idempotencySeconds ?? 0,
    moderation: moderationOf(values, places),
    outgoing: outgoingOf(values),
  }
  return { uploads, faults: allFaults }
}

function outgoingOf(values: SettingValues): UploadsConfig['outgoing'] {
  const { allowAddresses = [], webhookAllowAddresses = [] } = values
  const webhookAddresses = [...new Set([...allowAddresses, ...webhookAllowAddresses])]
  return { limits: limitsOf({}, values), allowAddresses, webhookAddresses }
}

function targetOf(values: SettingValues, places: Places): UploadTargetConfig | undefined {
  const target = values.uploads
  if (target === undefined || target.kind === 'off') return undefined
  if (target.kind === 'disk')
    return { kind: 'disk', folder: join(resolve(places.cwd, values.dataDir ?? ''), 'uploads') }
  return {
    kind: 's3',
    bucket: target.bucket,
    prefix: target.prefix,
    endpoint: values.s3Endpoint,
    clientEndpoint: values.uploadsEndpoint,
    region: values.s3Region,
    forcePathStyle: values.s3ForcePathStyle ?? false,
    credentials: undefined,
    presignedPost: values.presignedPost === 'auto' ? hasPost(values.s3Endpoint) : values.presignedPost === 'on',
  }
}

function hasPost(endpoint: string | undefined): boolean {
  return endpoint === undefined || !withoutPost.test(new URL(endpoint).hostname)
}

function moderationOf(values: SettingValues, places: Places): ModerationConfig {
  return {
    webhook:
      values.moderationUrl === undefined ? undefined : { url: values.moderationUrl, secret: values.moderationSecret },
    banListFile: values.banListFile === undefined ? undefined : resolve(places.cwd, values.banListFile),
    banDistance: values.banDistance ?? 0,
    clamav: values.clamav,
    timeoutMs: milliseconds(values.moderationSeconds),
    whenUnreachable: values.moderationUnreachable ?? 'quarantine',
  }
}

/** Settings that are fine alone and make no sense together. */
function contradictions(values: SettingValues): ConfigFault[] {
  const { uploadMaxMegapixels = 0, maxMegapixels = 0, signedUrlSeconds = 0, signedUrlMaxSeconds = 0 } = values
  const { uploadMaxMB = 0, partMB = 1, partsFromMB = 0 } = values
  return [
    ...(uploadMaxMegapixels > maxMegapixels
      ? [fault('HALFTONE_UPLOAD_MAX_MEGAPIXELS', 'at most HALFTONE_MAX_MEGAPIXELS', uploadMaxMegapixels)]
      : []),
    ...(signedUrlSeconds > signedUrlMaxSeconds
      ? [fault('HALFTONE_SIGNED_URL_SECONDS', 'at most HALFTONE_SIGNED_URL_MAX_SECONDS', signedUrlSeconds)]
      : []),
    ...(partMB > partsFromMB
      ? [fault('HALFTONE_UPLOAD_PART_MB', 'at most HALFTONE_UPLOAD_PARTS_FROM_MB', partMB)]
      : []),
    ...(uploadMaxMB / partMB > 10_000
      ? [fault('HALFTONE_UPLOAD_PART_MB', 'parts of which 10,000 hold HALFTONE_UPLOAD_MAX_MB', partMB)]
      : []),
    ...pairFaults(values),
  ]
}

function pairFaults(values: SettingValues): ConfigFault[] {
  const webhookIsWhole = (values.webhookUrl === undefined) === (values.webhookSecret === undefined)
  const moderationIsWhole = values.moderationSecret === undefined || values.moderationUrl !== undefined
  return [
    ...(webhookIsWhole
      ? []
      : [missing(values.webhookUrl === undefined ? 'HALFTONE_WEBHOOK_URL' : 'HALFTONE_WEBHOOK_SECRET', 'webhooks')]),
    ...(moderationIsWhole ? [] : [missing('HALFTONE_MODERATION_URL', 'the moderator')]),
  ]
}

function missing(name: string, what: string): ConfigFault {
  return { name, message: `expected the URL and the secret of ${what}, got only the other. Set it, or remove both.` }
}

function fault(name: string, expected: string, came: number): ConfigFault {
  return { name, message: `expected ${expected}, got ${String(came)}. Change one of them.` }
}

function bytesOf(megabytes: number | undefined): number {
  return Math.round((megabytes ?? 0) * 1e6)
}

function milliseconds(seconds: number | undefined): number {
  return Math.round((seconds ?? 0) * 1000)
}
