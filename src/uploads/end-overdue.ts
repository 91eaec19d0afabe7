import type { UploadRecord } from '../db/records.ts'
import { toAppError } from '../errors.ts'
import { confirmUpload, isVerdict } from './confirm-upload.ts'
import { endUpload } from './end-upload.ts'
import type { UploadDeps } from './upload-deps.ts'
import { expiredUpload } from './upload-state.ts'

/**
 * An upload whose permission has ended without a word from its client: confirmed when the bytes came, rejected when they are wrong, ended
 * when nothing came and nothing can be on its way. Throws what the store of bytes says when it cannot be asked.
 */
export async function endOverdue(
  upload: UploadRecord,
  deps: UploadDeps,
  signal: AbortSignal,
): Promise<'confirmed' | 'rejected' | 'expired' | 'left'> {
  try {
    await confirmUpload(upload, deps, signal)
    return 'confirmed'
  } catch (thrown) {
    const { code, retryable } = toAppError(thrown)
    if (isVerdict(code) && !retryable) return 'rejected'
    // Somebody else has ended it.
    if (code === 'not_found') return 'left'
    if (code !== 'not_uploaded' && code !== 'expired') throw thrown
    const isEnded = isOver(upload, deps) && (await endUpload(upload, ['pending'], 'expired', expiredUpload(), deps))
    return isEnded ? 'expired' : 'left'
  }
}

/** Whether no bytes can be on their way any more: a slow one that began in time gets the life of its permission once more. */
function isOver({ expiresAtMs }: UploadRecord, { config, now }: Pick<UploadDeps, 'config' | 'now'>): boolean {
  return expiresAtMs + Math.min(config.permissionSeconds, config.graceSeconds) * 1000 <= now()
}
