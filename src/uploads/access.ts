import type { Principal, Scope } from '../auth/authenticator.ts'
import type { ProjectConfig, UploadsConfig } from '../config/config.ts'
import type { ImageRecord, Owner, UploadRecord } from '../db/records.ts'
import type { Stores } from '../db/stores.ts'
import { AppError } from '../errors.ts'
import { isId } from '../lib/new-id.ts'

export function mayDo(principal: Principal, scope: Scope): boolean {
  return principal.scopes.has(scope) || principal.scopes.has('admin')
}

/** Throws `scope_required`; for an anonymous caller `unauthenticated`. */
export function requireScope(principal: Principal, scope: Scope): void {
  if (mayDo(principal, scope)) return
  if (principal.kind === 'anonymous') throw new AppError('unauthenticated')
  throw new AppError('scope_required', { detail: `These credentials lack the scope ${scope}.`, details: { scope } })
}

/** Another owner's things are not there. */
export function isTheirs(principal: Principal, record: Owner): boolean {
  // Whoever shares an address with the owner is not the owner; a token says which upload was theirs.
  if (principal.kind === 'anonymous' && principal.uploadId === undefined) return false
  if (principal.project !== record.project) return false
  return principal.owner === record.owner || mayDo(principal, 'owners:any')
}

/** An upload of the caller's. Throws `not_found`. */
export async function findUpload(id: string, principal: Principal, stores: Stores): Promise<UploadRecord> {
  const upload = isId('upl', id) ? await stores.uploads.find(id) : undefined
  const isOther = principal.uploadId !== undefined && principal.uploadId !== id
  if (!upload || isOther || !isTheirs(principal, upload)) {
    throw new AppError('not_found', { detail: 'There is no such upload.' })
  }
  return upload
}

/** An image of the caller's that is not deleted. Throws `not_found`. */
export async function findImage(id: string, principal: Principal, stores: Stores): Promise<ImageRecord> {
  const image = isId('img', id) ? await stores.images.find(id) : undefined
  if (!image || image.state === 'deleted' || principal.kind === 'anonymous' || !isTheirs(principal, image)) {
    throw new AppError('not_found', { detail: 'There is no such image.' })
  }
  return image
}

/** The caller's project. A record may outlive its project's configuration: then the rules of `default` hold. */
export function projectOf(config: Pick<UploadsConfig, 'projects'>, name: string): ProjectConfig {
  const project = Object.hasOwn(config.projects, name) ? config.projects[name] : config.projects['default']
  if (!project) throw new Error('the configuration has no default project')
  return project
}
