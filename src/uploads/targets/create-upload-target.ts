import type { UploadTargetConfig } from '../../config/config.ts'
import { createDiskTarget, type DiskTarget, type DiskTargetOptions } from './disk-target.ts'
import { createS3Target, type S3Target } from './s3-target.ts'

export type UploadTargetDeps = Omit<DiskTargetOptions, 'folder'> & {
  /** Longest time of one call to a remote store. */
  readonly timeoutMs: number
}

/** The disk target wants its door opened by `http/`; a bucket has a CORS rule to be looked at. */
export type CreatedTarget =
  { readonly kind: 'disk'; readonly target: DiskTarget } | { readonly kind: 's3'; readonly target: S3Target }

/** More than jobs that run at once need; requests that sign open none. */
const connections = 32

/** The target of the configuration. Nothing is opened or loaded before its first call. */
export function createUploadTarget(config: UploadTargetConfig, deps: UploadTargetDeps): CreatedTarget {
  const { timeoutMs, ...own } = deps
  return config.kind === 'disk'
    ? { kind: 'disk', target: createDiskTarget({ folder: config.folder, ...own }) }
    : { kind: 's3', target: createS3Target(config, { timeoutMs, connections }) }
}
