import { withDeadline } from '../../lib/deadline.ts'
import { deleteAbandoned } from '../delete-abandoned.ts'
import { bytesAreGone, endUpload } from '../end-upload.ts'
import type { UploadDeps } from '../upload-deps.ts'
import type { CheckName } from './checks.ts'
import type { Verdict } from './verdict.ts'

type Mend = (key: string, deps: UploadDeps, signal: AbortSignal) => Promise<boolean>

const deleteBytes: Mend = async (key, { target, config }, signal) => {
  await target.delete(key, withDeadline(signal, config.targetTimeoutMs))
  return true
}

const failBareUpload: Mend = async (key, deps) => {
  const upload = await deps.stores.survey.uploadAt(key)
  return upload !== undefined && endUpload(upload, ['uploaded', 'processing'], 'failed', bytesAreGone(), deps)
}

const mends: { readonly [name in CheckName]?: Mend } = {
  staging_without_upload: deleteBytes,
  staging_of_ended_upload: deleteBytes,
  object_without_row: deleteBytes,
  upload_without_bytes: failBareUpload,
  object_without_bytes: deleteAbandoned,
}

/** Does what the check promises. False when somebody else was quicker, or only a person can decide. */
export async function mendVerdict({ name, key }: Verdict, deps: UploadDeps, signal: AbortSignal): Promise<boolean> {
  return (await mends[name]?.(key, deps, signal)) ?? false
}
