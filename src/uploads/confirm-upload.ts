import type { UploadRecord } from '../db/records.ts'
import { AppError, errorTable, type ErrorCode } from '../errors.ts'
import { withDeadline } from '../lib/deadline.ts'
import { sniffFormat } from '../transform/executor/sniff-format.ts'
import { projectOf } from './access.ts'
import { rejectUpload } from './end-upload.ts'
import { partsOf } from './presign-upload.ts'
import type { HeldObject } from './targets/upload-target.ts'
import type { UploadDeps } from './upload-deps.ts'
import { assertFacts, rulesOfRecord } from './upload-policy.ts'
import { expiredUpload } from './upload-state.ts'

export const processKind = 'process-upload'

// Enough for the header of nearly every file; where it is not, the job finds the same faults later.
const headBytes = 256 * 1024

/**
 * Looks whether the bytes are there and what they claim to be, and hands them to the job. Idempotent: whatever the upload has become
 * since is its answer. Throws `not_uploaded` (nothing is deleted), `expired`, `not_found`, and what it was rejected for.
 */
export async function confirmUpload(
  upload: UploadRecord,
  deps: UploadDeps,
  signal: AbortSignal,
): Promise<UploadRecord> {
  if (upload.state !== 'pending') return alreadyConfirmed(upload, deps)
  const within = withDeadline(signal, deps.config.targetTimeoutMs)
  await assembleParts(upload, deps, within)
  const stored = await deps.target.head(upload.stagingKey, within)
  if (!stored) throw notUploaded(upload, deps)
  try {
    assertSize(upload, stored.byteLength)
    await checkSum(upload, stored, deps, within)
    await checkHead(upload, deps, signal)
  } catch (error) {
    if (!(error instanceof AppError) || error.retryable || !isVerdict(error.code)) throw error
    await rejectUpload(upload, ['pending'], error, deps)
    throw error
  }
  const confirmed = await deps.stores.uploads.move(upload.id, ['pending'], 'uploaded', {
    byteLength: stored.byteLength,
    fact: { byteLength: stored.byteLength },
  })
  if (!confirmed) return confirmAgain(upload.id, deps, signal)
  deps.count('confirmed')
  await enqueue(confirmed, deps)
  deps.changes.announce(upload.id)
  return confirmed
}

/** Puts the job into the queue; one for each upload, however often it is called. */
export async function enqueue(upload: Pick<UploadRecord, 'id'>, deps: Pick<UploadDeps, 'queue'>): Promise<void> {
  await deps.queue.add(processKind, { uploadId: upload.id }, { dedupeKey: upload.id })
}

/** Faults of the picture and not of the moment: the upload ends with them. */
export function isVerdict(code: ErrorCode): boolean {
  const { status } = errorTable[code]
  return status === 422 || status === 413 || status === 415
}

async function alreadyConfirmed(upload: UploadRecord, deps: UploadDeps): Promise<UploadRecord> {
  switch (upload.state) {
    case 'expired':
      throw expiredUpload()
    case 'deleted':
      throw new AppError('not_found', { detail: 'There is no such upload.' })
    case 'rejected':
    case 'failed':
      throw reasonOf(upload)
    case 'uploaded':
      // Confirmed by somebody who was killed before the job was there.
      await enqueue(upload, deps)
      return upload
    case 'pending':
    case 'processing':
    case 'ready':
    case 'quarantined':
      return upload
  }
}

/** Somebody else changed the state between our look and ours to change. */
async function confirmAgain(id: string, deps: UploadDeps, signal: AbortSignal): Promise<UploadRecord> {
  const now = await deps.stores.uploads.find(id)
  if (!now || now.state === 'pending') throw new AppError('not_found', { detail: 'There is no such upload.' })
  return confirmUpload(now, deps, signal)
}

/** What it was rejected for, as the error it was then. */
export function reasonOf(upload: UploadRecord): AppError {
  const { code = 'processing_failed', detail } = upload.reason ?? {}
  const known = Object.hasOwn(errorTable, code) ? (code as ErrorCode) : 'processing_failed'
  return new AppError(known, detail === undefined ? {} : { detail })
}

async function assembleParts(upload: UploadRecord, deps: UploadDeps, signal: AbortSignal): Promise<void> {
  const { multipartId, stagingKey, byteLength } = upload
  if (multipartId === undefined || byteLength === undefined) return
  const { count: expectedParts } = partsOf(upload, byteLength, deps)
  if (!(await deps.target.completeParts({ key: stagingKey, multipartId, expectedParts }, signal))) {
    throw notUploaded(upload, deps, `Not all of the ${expectedParts} parts are there.`)
  }
}

function notUploaded(upload: UploadRecord, deps: UploadDeps, detail = 'Nothing has been uploaded yet.'): AppError {
  // The state follows after the grace: bytes that were on their way in time may still come to be there.
  return upload.expiresAtMs <= deps.now() ? expiredUpload() : new AppError('not_uploaded', { detail })
}

function assertSize(upload: UploadRecord, byteLength: number): void {
  if (upload.byteLength === undefined || upload.byteLength === byteLength) return
  throw new AppError('size_mismatch', { detail: `Declared as ${upload.byteLength} bytes; ${byteLength} came.` })
}

/**
 * The declared SHA-256 against what the store has found; where it tells none, small objects are read through, and the job finds out
 * about the others. What came through this server was hashed as it came.
 */
async function checkSum(
  upload: UploadRecord,
  stored: HeldObject,
  deps: UploadDeps,
  signal: AbortSignal,
): Promise<void> {
  if (upload.sha256 === undefined || upload.way === 'direct' || upload.way === 'import') return
  const found = stored.sha256 ?? (await hashWithin(stored, deps, signal))
  if (found !== undefined) assertSum(upload.sha256, found)
}

/** undefined where that would take too long: the job has more time. */
async function hashWithin(
  { key, byteLength }: HeldObject,
  { target, config }: UploadDeps,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (byteLength > config.confirmHashBytes) return undefined
  try {
    return await target.hash(key, signal)
  } catch (error) {
    if (error instanceof AppError && error.code === 'target_timeout') return undefined
    throw error
  }
}

/** Throws `checksum_mismatch`. */
export function assertSum(declared: string | undefined, found: string): void {
  if (declared === undefined || declared === found) return
  throw new AppError('checksum_mismatch', { detail: `Declared as ${declared}; the bytes have ${found}.` })
}

/** Type by magic bytes, and dimensions from the header where it is near the beginning. */
async function checkHead(upload: UploadRecord, deps: UploadDeps, signal: AbortSignal): Promise<void> {
  const { target, config, examiner } = deps
  const within = withDeadline(signal, config.targetTimeoutMs)
  const head = await target.read(upload.stagingKey, { maxBytes: headBytes, length: headBytes }, within)
  if (!head) throw notUploaded(upload, deps)
  const sniffed = sniffFormat(head)
  if (!sniffed || !typesOf[sniffed].includes(upload.contentType)) {
    throw new AppError('type_mismatch', {
      detail: `Declared as ${upload.contentType}; the bytes are ${sniffed ?? 'not an image of a supported type'}.`,
    })
  }
  const rules = rulesOfRecord(projectOf(config, upload.project), upload)
  const metadata = await examiner.probeHeader({ key: upload.id, bytes: head }, signal).catch(() => undefined)
  // The header of a file that is cut here may not be whole; only what could be read is held against it.
  if (metadata) assertFacts({ ...rules, kind: undefined }, metadata)
}

const typesOf: Readonly<Record<NonNullable<ReturnType<typeof sniffFormat>>, readonly string[]>> = {
  jpeg: ['image/jpeg'],
  png: ['image/png'],
  webp: ['image/webp'],
  gif: ['image/gif'],
  heif: ['image/avif', 'image/heic'],
  tiff: ['image/tiff'],
  svg: ['image/svg+xml'],
}
