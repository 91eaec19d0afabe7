import { withDeadline } from '../lib/deadline.ts'
import type { UploadDeps } from './upload-deps.ts'

type DeleteDeps = Pick<UploadDeps, 'stores' | 'target' | 'config'>

/** The bytes of an object that is condemned, and then its row. */
export async function deleteCondemned(key: string, deps: DeleteDeps, signal: AbortSignal): Promise<void> {
  await deps.target.delete(key, withDeadline(signal, deps.config.targetTimeoutMs))
  await deps.stores.objects.forget(key)
}

/** Condemned first, so that no upload takes it up meanwhile. False when nothing may be done: it is young, or in use. */
export async function deleteAbandoned(
  key: string,
  deps: DeleteDeps & Pick<UploadDeps, 'now'>,
  signal: AbortSignal,
): Promise<boolean> {
  const untouchedSinceMs = deps.now() - deps.config.graceSeconds * 1000
  const [condemned] = await deps.stores.objects.abandoned(untouchedSinceMs, 1, { isDeep: true, key })
  if (!condemned) return false
  await deleteCondemned(key, deps, signal)
  return true
}
