import type { ObjectRecord, UploadRecord } from '../../db/records.ts'
import { withDeadline } from '../../lib/deadline.ts'
import type { StoredObject } from '../targets/upload-target.ts'
import type { UploadDeps } from '../upload-deps.ts'
import { pairKeys, type KeyPair } from './pair-keys.ts'

export type ListDeps = Pick<UploadDeps, 'stores' | 'target' | 'config'>
export type StagingPair = KeyPair<StoredObject, UploadRecord>
export type ObjectPair = KeyPair<StoredObject, ObjectRecord>

const rowsAtOnce = 500

/** Staged bytes beside the uploads that may still need them, from a key on. */
export function stagingPairs(deps: ListDeps, afterKey: string | undefined, signal: AbortSignal) {
  return pairKeys(
    storedKeys('staging/', afterKey, deps, signal),
    rowKeys(
      afterKey,
      (after) => deps.stores.survey.openUploads(after, rowsAtOnce),
      (upload) => upload.stagingKey,
    ),
  )
}

/** Served bytes beside their rows, from a key on. */
export function objectPairs(deps: ListDeps, afterKey: string | undefined, signal: AbortSignal) {
  return pairKeys(
    storedKeys('objects/', afterKey, deps, signal),
    rowKeys(
      afterKey,
      (after) => deps.stores.objects.page(after, rowsAtOnce),
      (object) => object.key,
    ),
  )
}

async function* storedKeys(
  prefix: string,
  afterKey: string | undefined,
  { target, config }: ListDeps,
  signal: AbortSignal,
): AsyncGenerator<{ key: string; value: StoredObject }, void> {
  let cursor = afterKey
  do {
    const page = await target.list(prefix, cursor, withDeadline(signal, config.targetTimeoutMs))
    for (const value of page.objects) yield { key: value.key, value }
    cursor = page.cursor
  } while (cursor !== undefined)
}

async function* rowKeys<Row>(
  afterKey: string | undefined,
  readPage: (after: string | undefined) => Promise<readonly Row[]>,
  keyOf: (row: Row) => string,
): AsyncGenerator<{ key: string; value: Row }, void> {
  let after = afterKey
  for (;;) {
    const rows = await readPage(after)
    for (const value of rows) yield { key: (after = keyOf(value)), value }
    if (rows.length < rowsAtOnce) return
  }
}
