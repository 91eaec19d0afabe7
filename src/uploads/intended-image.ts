import type { Principal } from '../auth/authenticator.ts'
import type { ImageRecord, Owner } from '../db/records.ts'
import { findImage, projectOf, requireScope } from './access.ts'
import type { UploadDeps } from './upload-deps.ts'
import type { ImageDescription } from './upload-intent.ts'
import { rulesFor, rulesOfRecord, type UploadRules } from './upload-policy.ts'

/** The image that an upload is for, and the rules it has to keep. */
export type IntendedImage = {
  readonly owner: Owner
  /** undefined: a new one. */
  readonly id: string | undefined
  readonly kind: string | undefined
  readonly subject: string | undefined
  readonly metadata: Readonly<Record<string, string>>
  readonly rules: UploadRules
}

/**
 * A new image is what the caller says of it; a new version keeps what its image is, visibility and kind above all. Throws `scope_required`,
 * `not_found`, `bad_request` (no such kind).
 */
export async function intendedImage(
  said: ImageDescription,
  principal: Principal,
  deps: Pick<UploadDeps, 'config' | 'stores'>,
): Promise<IntendedImage> {
  requireScope(principal, 'uploads:write')
  const project = projectOf(deps.config, principal.project)
  if (said.image !== undefined) {
    const image = await findImage(said.image, principal, deps.stores)
    requireScope(principal, 'images:write')
    return { ...describedBy(image), rules: rulesOfRecord(project, image) }
  }
  const { kind, subject, visibility, metadata = {} } = said
  const owner = { project: principal.project, owner: principal.owner }
  return { ...{ owner, id: undefined, kind, subject, metadata }, rules: rulesFor(project, { kind, visibility }) }
}

function describedBy({ id, project, owner, kind, subject, metadata }: ImageRecord) {
  return { owner: { project, owner }, id, kind, subject, metadata }
}
