import type { UploadState } from '../../db/records.ts'
import type { StagingPair } from './list-pairs.ts'
import { headAgain, isYoung, type JudgeDeps, type Verdict } from './verdict.ts'

const needingBytes: readonly UploadState[] = ['pending', 'uploaded', 'processing', 'failed']

/**
 * What is wrong with staged bytes and their upload. The server goes on meanwhile, so whatever looks wrong is looked at again: a row is
 * there before its bytes, what is over stays over, and keys are never used twice.
 */
export async function judgeStaging(
  { key, left: stored, right: row }: StagingPair,
  deps: JudgeDeps,
  signal: AbortSignal,
): Promise<Verdict | undefined> {
  if (stored && row) return undefined
  if (!stored) return judgeBare(key, deps, signal)
  if (isYoung(stored.lastModifiedMs, deps)) return undefined
  const upload = await deps.stores.survey.uploadAt(key)
  if (upload && needingBytes.includes(upload.state)) return undefined
  if (!(await headAgain(key, deps, signal))) return undefined
  return upload
    ? { name: 'staging_of_ended_upload', key, example: `${key} (${upload.state})`, isUnknown: false }
    : { name: 'staging_without_upload', key, example: key, isUnknown: true }
}

/** An upload for which nothing is listed. */
async function judgeBare(key: string, deps: JudgeDeps, signal: AbortSignal): Promise<Verdict | undefined> {
  const upload = await deps.stores.survey.uploadAt(key)
  if (upload?.state !== 'uploaded' && upload?.state !== 'processing') return undefined
  if (isYoung(upload.updatedAtMs, deps) || (await headAgain(key, deps, signal))) return undefined
  // The state moves on before the bytes go: they are gone, and were still needed.
  const still = await deps.stores.survey.uploadAt(key)
  if (still?.state !== upload.state) return undefined
  return { name: 'upload_without_bytes', key, example: `${upload.id} (${upload.state})`, isUnknown: false }
}
