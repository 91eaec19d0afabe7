import type { UploadDeps } from '../upload-deps.ts'
import { judgeObject } from './judge-object.ts'
import { judgeStaging } from './judge-staging.ts'
import { objectPairs, stagingPairs } from './list-pairs.ts'
import type { Verdict } from './verdict.ts'

/** The two halves of the store: what clients write, and what is served. */
export const spaces = ['staging', 'objects'] as const
export type Space = (typeof spaces)[number]

export type ScanFrom = {
  readonly afterKey: string | undefined
  readonly maxKeys: number
  /** Reads the served bytes, too. */
  readonly isDeep: boolean
}

/** A stretch of keys that was looked at. */
export type Scanned = {
  readonly verdicts: readonly Verdict[]
  /** Keys of which the database knows nothing, and those that it knows. */
  readonly unknown: number
  readonly known: number
  /** Where the next stretch begins; undefined at the end. */
  readonly afterKey: string | undefined
}

/** Compares the next keys of store and database; in memory is what is wrong with them. */
export async function scanGhosts(
  space: Space,
  from: ScanFrom,
  deps: UploadDeps,
  signal: AbortSignal,
): Promise<Scanned> {
  const verdicts: Verdict[] = []
  let [seen, known] = [0, 0]
  let afterKey: string | undefined
  const judged = space === 'staging' ? judgedStaging(from, deps, signal) : judgedObjects(from, deps, signal)
  for await (const { key, isKnown, verdict } of judged) {
    seen += 1
    if (isKnown || verdict?.isUnknown === false) known += 1
    if (verdict) verdicts.push(verdict)
    if (seen < from.maxKeys) continue
    afterKey = key
    break
  }
  return { verdicts, unknown: verdicts.filter(({ isUnknown }) => isUnknown).length, known, afterKey }
}

type Judged = { readonly key: string; readonly isKnown: boolean; readonly verdict: Verdict | undefined }

async function* judgedStaging(from: ScanFrom, deps: UploadDeps, signal: AbortSignal): AsyncGenerator<Judged, void> {
  for await (const pair of stagingPairs(deps, from.afterKey, signal)) {
    signal.throwIfAborted()
    yield { key: pair.key, isKnown: pair.right !== undefined, verdict: await judgeStaging(pair, deps, signal) }
  }
}

async function* judgedObjects(from: ScanFrom, deps: UploadDeps, signal: AbortSignal): AsyncGenerator<Judged, void> {
  const how = { isDeep: from.isDeep, signal }
  for await (const pair of objectPairs(deps, from.afterKey, signal)) {
    signal.throwIfAborted()
    yield { key: pair.key, isKnown: pair.right !== undefined, verdict: await judgeObject(pair, deps, how) }
  }
}
