import { isYoung, type JudgeDeps } from './verdict.ts'

type OpenParts = { readonly key: string; readonly multipartId: string; readonly startedAtMs: number }

/** Whether nobody waits for these parts any more: others were begun for the same upload, or it is over, or never was. */
export async function areForsaken(
  open: OpenParts,
  deps: Pick<JudgeDeps, 'stores' | 'config' | 'now'>,
): Promise<boolean> {
  // What the server itself streams into a bucket comes in parts, too; that is over long before the grace.
  if (isYoung(open.startedAtMs, deps)) return false
  const upload = await deps.stores.survey.uploadAt(open.key)
  return upload?.state !== 'pending' || upload.multipartId !== open.multipartId
}
