import { createHash } from 'node:crypto'
import type { ObjectRecord } from '../../db/records.ts'
import { withDeadline } from '../../lib/deadline.ts'
import type { ObjectPair } from './list-pairs.ts'
import { headAgain, isYoung, type JudgeDeps, type Verdict } from './verdict.ts'

type How = { readonly isDeep: boolean; readonly signal: AbortSignal }

/** What is wrong with served bytes and their row; `isDeep` reads the bytes. What looks wrong is looked at again, as for staging. */
export async function judgeObject(
  { key, left: listed, right: row }: ObjectPair,
  deps: JudgeDeps,
  how: How,
): Promise<Verdict | undefined> {
  if (!row) return listed && !isYoung(listed.lastModifiedMs, deps) ? judgeUnknown(key, deps, how.signal) : undefined
  // What is being written or deleted is judged by its age alone.
  if (row.state !== 'stored') return undefined
  if (listed?.byteLength === row.byteLength) return how.isDeep ? judgeBytes(row, deps, how.signal) : undefined
  return judgeStored(key, deps, how.signal)
}

async function judgeUnknown(key: string, deps: JudgeDeps, signal: AbortSignal): Promise<Verdict | undefined> {
  const { stores } = deps
  // Bytes that an image still shows are never unknown, with or without a row.
  const isKnown = (await stores.objects.find(key)) ?? (await stores.survey.versionsAt(key))[0]
  if (isKnown || !(await headAgain(key, deps, signal))) return undefined
  return { name: 'object_without_row', key, example: key, isUnknown: true }
}

/** Row first, then bytes, then the row again: bytes are there before it says `stored`, and go after it says `deleting`. */
async function judgeStored(key: string, deps: JudgeDeps, signal: AbortSignal): Promise<Verdict | undefined> {
  const { stores } = deps
  const row = await stores.objects.find(key)
  const stored = row && (await headAgain(key, deps, signal))
  if (row?.state !== 'stored' || stored?.byteLength === row.byteLength) return undefined
  if ((await stores.objects.find(key))?.state !== 'stored') return undefined
  const known = { key, isUnknown: false }
  if (stored) {
    const example = `${key}: ${row.byteLength} bytes were written, ${stored.byteLength} are there`
    return { ...known, name: 'size_differs', example }
  }
  const [version] = await stores.survey.versionsAt(key)
  return version
    ? { ...known, name: 'lost_version', example: `${version.imageId}/${version.version}: no bytes at ${key}` }
    : { ...known, name: 'object_without_bytes', example: key }
}

async function judgeBytes(
  { key, byteLength, storedSha256 }: ObjectRecord,
  deps: JudgeDeps,
  signal: AbortSignal,
): Promise<Verdict | undefined> {
  const within = withDeadline(signal, deps.config.targetTimeoutMs)
  const bytes = await deps.target.read(key, { maxBytes: byteLength }, within)
  if (!bytes) return judgeStored(key, deps, signal)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  if (sha256 === storedSha256) return undefined
  const example = `${key}: SHA-256 ${storedSha256} was written, ${sha256} is there`
  return { name: 'bytes_differ', key, example, isUnknown: false }
}
