import type { UploadRecord } from '../db/records.ts'
import type { UploadDeps } from './upload-deps.ts'
import { isSettled } from './upload-state.ts'

// Another process may be at work on it, and its announcements are not heard here.
const lookAgainMs = 1000

/** The upload once it has settled, or as it is when the time is up. */
export async function awaitUpload(
  upload: UploadRecord,
  waitMs: number,
  deps: Pick<UploadDeps, 'stores' | 'changes' | 'now'>,
  signal: AbortSignal,
): Promise<UploadRecord> {
  const untilMs = deps.now() + waitMs
  let latest = upload
  while (!isSettled(latest.state)) {
    const leftMs = untilMs - deps.now()
    if (leftMs <= 0 || signal.aborted) return latest
    const changed = deps.changes.next(upload.id, Math.min(leftMs, lookAgainMs), signal)
    // Looked up after listening began, so that no change falls between.
    latest = (await deps.stores.uploads.find(upload.id)) ?? latest
    if (isSettled(latest.state)) return latest
    await changed
    latest = (await deps.stores.uploads.find(upload.id)) ?? latest
  }
  return latest
}

/** Each state as it comes, the current one first, until the last. */
export async function* followUpload(
  upload: UploadRecord,
  deps: Pick<UploadDeps, 'stores' | 'changes' | 'now'>,
  signal: AbortSignal,
): AsyncGenerator<UploadRecord> {
  let told: string | undefined
  while (!signal.aborted) {
    const changed = deps.changes.next(upload.id, lookAgainMs, signal)
    const latest = await deps.stores.uploads.find(upload.id)
    if (!latest) return
    if (latest.state !== told) {
      told = latest.state
      yield latest
    }
    if (isSettled(latest.state)) return
    await changed
  }
}
