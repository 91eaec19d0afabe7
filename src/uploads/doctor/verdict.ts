import type { StoredObject } from '../targets/upload-target.ts'
import { withDeadline } from '../../lib/deadline.ts'
import type { UploadDeps } from '../upload-deps.ts'
import type { CheckName } from './checks.ts'

export type JudgeDeps = Pick<UploadDeps, 'stores' | 'target' | 'config' | 'now'>

/** What is wrong with one key. `isUnknown`: nothing in the database speaks of it, as nothing in the wrong database would. */
export type Verdict = {
  readonly name: CheckName
  readonly key: string
  readonly example: string
  readonly isUnknown: boolean
}

/** Whether it may still be about to be explained. */
export function isYoung(atMs: number, { config, now }: Pick<JudgeDeps, 'config' | 'now'>): boolean {
  return atMs > now() - config.graceSeconds * 1000
}

/** Asks the store again, as a listing is a moment old. */
export function headAgain(
  key: string,
  { target, config }: Pick<JudgeDeps, 'target' | 'config'>,
  signal: AbortSignal,
): Promise<StoredObject | undefined> {
  return target.head(key, withDeadline(signal, config.targetTimeoutMs))
}
