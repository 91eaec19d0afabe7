import { AppError, toAppError } from '../errors.ts'
import { withDeadline } from '../lib/deadline.ts'
import { confirmUpload, enqueue } from './confirm-upload.ts'
import { dropStaging, endUpload } from './end-upload.ts'
import type { UploadDeps } from './upload-deps.ts'

export type Swept = {
  readonly confirmed: number
  readonly expired: number
  readonly requeued: number
  readonly objectsDeleted: number
}

// A page at a time: what is left waits for the next round.
const batch = 200

/**
 * Finds what a crash, a closed tab or a lost confirm left behind, and does the safe part by itself: confirms what has its bytes,
 * expires what never got them, gives stuck jobs to the queue again, and deletes objects that nothing refers to.
 */
export async function sweepUploads(deps: UploadDeps, signal: AbortSignal): Promise<Swept> {
  const pending = await endPending(deps, signal)
  const requeued = await requeueStuck(deps)
  const objectsDeleted = await deleteAbandoned(deps, signal)
  await dropEnded(deps)
  await deps.stores.uploads.forgetIdempotency(deps.now())
  return { ...pending, requeued, objectsDeleted }
}

async function endPending(deps: UploadDeps, signal: AbortSignal): Promise<{ confirmed: number; expired: number }> {
  let [confirmed, expired] = [0, 0]
  const overdue = await deps.stores.uploads.stale({ states: ['pending'], expiredAtMs: deps.now(), limit: batch })
  for (const upload of overdue) {
    try {
      await confirmUpload(upload, deps, signal)
      confirmed += 1
    } catch (thrown) {
      const { code } = toAppError(thrown)
      if (code !== 'not_uploaded' && code !== 'expired') continue
      // A slow PUT that began in time may still end well.
      const isOver = upload.expiresAtMs + deps.config.graceSeconds * 1000 <= deps.now()
      if (isOver && (await endUpload(upload, ['pending'], 'expired', new AppError('expired'), deps))) expired += 1
    }
  }
  return { confirmed, expired }
}

async function requeueStuck(deps: UploadDeps): Promise<number> {
  // Twice the time one try may take: what is older has no job, or one that will be added in vain.
  const untouchedSinceMs = deps.now() - 2 * deps.config.jobTimeoutMs
  const stuck = await deps.stores.uploads.stale({ states: ['uploaded', 'processing'], untouchedSinceMs, limit: batch })
  for (const upload of stuck) await enqueue(upload, deps)
  return stuck.length
}

async function deleteAbandoned(deps: UploadDeps, signal: AbortSignal): Promise<number> {
  const { stores, target, config } = deps
  const abandoned = await stores.objects.abandoned(deps.now() - config.graceSeconds * 1000, batch)
  for (const object of abandoned) {
    await target.delete(object.key, withDeadline(signal, config.targetTimeoutMs))
    await stores.objects.forget(object.key)
  }
  return abandoned.length
}

/** Failed uploads keep their bytes for a while; then these go, too. */
async function dropEnded(deps: UploadDeps): Promise<void> {
  const untouchedSinceMs = deps.now() - deps.config.graceSeconds * 1000
  const failed = await deps.stores.uploads.stale({ states: ['failed'], untouchedSinceMs, limit: batch })
  for (const upload of failed) {
    if (await deps.stores.uploads.move(upload.id, ['failed'], 'deleted')) await dropStaging(upload, deps)
  }
}
