import type { UploadRecord, UploadState } from '../db/records.ts'
import type { NewMessage } from '../db/stores.ts'
import { AppError } from '../errors.ts'
import { projectOf } from './access.ts'
import type { MessageType } from './message-types.ts'
import type { UploadDeps } from './upload-deps.ts'

type EndDeps = Pick<UploadDeps, 'stores' | 'target' | 'config' | 'changes' | 'count' | 'log' | 'now'>

/** The bytes are not what was promised: the record says why, and the staging object goes. */
export async function rejectUpload(
  upload: UploadRecord,
  from: readonly UploadState[],
  why: AppError,
  deps: EndDeps,
): Promise<void> {
  await endUpload(upload, from, 'rejected', why, deps)
}

/** Ends an upload that does not become an image. Nothing happens when its state has moved on. */
export async function endUpload(
  upload: UploadRecord,
  from: readonly UploadState[],
  to: 'rejected' | 'failed' | 'expired' | 'deleted',
  why: AppError | undefined,
  deps: EndDeps,
): Promise<boolean> {
  const reason = why && { code: why.code, detail: why.detail }
  const ended = await deps.stores.uploads.end(upload.id, from, to, {
    ...(reason && { reason }),
    messages: messagesFor(
      upload,
      {
        type: `upload.${to}`,
        payload: { uploadId: upload.id, imageId: upload.imageId, ...(reason && { error: reason }) },
      },
      deps,
    ),
  })
  if (!ended) return false
  deps.count(to)
  deps.changes.announce(upload.id)
  // The bytes of a failed one were promised to be kept: only people try it again, or delete it.
  if (to !== 'failed') await dropStaging(upload, deps)
  return true
}

/** Why an upload fails whose bytes are not there. */
export function bytesAreGone(): AppError {
  return new AppError('processing_failed', { detail: 'The uploaded bytes are gone.' })
}

/** Messages are written only where somebody is to be told. */
export function messagesFor(
  record: { readonly project: string },
  message: NewMessage & { readonly type: MessageType },
  deps: Pick<UploadDeps, 'config'>,
): readonly NewMessage[] {
  return projectOf(deps.config, record.project).webhook === undefined ? [] : [message]
}

/** Removes what a client wrote; what fails here is found by the sweeper. */
export async function dropStaging(
  upload: UploadRecord,
  deps: Pick<UploadDeps, 'target' | 'config' | 'log'>,
): Promise<void> {
  const signal = AbortSignal.timeout(deps.config.targetTimeoutMs)
  try {
    if (upload.multipartId !== undefined) {
      await deps.target.abortParts({ key: upload.stagingKey, multipartId: upload.multipartId }, signal)
    }
    await deps.target.delete(upload.stagingKey, signal)
  } catch (error) {
    deps.log('warn', 'staging_left', { uploadId: upload.id, error: String(error) })
  }
}
