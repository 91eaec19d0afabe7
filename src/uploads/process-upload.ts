import { createHash } from 'node:crypto'
import type { UploadRecord, VersionFacts } from '../db/records.ts'
import { AppError, toAppError } from '../errors.ts'
import type { Job } from '../jobs/job-queue.ts'
import { withDeadline } from '../lib/deadline.ts'
import { newId } from '../lib/new-id.ts'
import type { Verdict } from '../moderation/moderator.ts'
import { contentTypeOf } from '../transform/image/formats.ts'
import type { ImageFacts } from '../transform/image/image-facts.ts'
import { projectOf } from './access.ts'
import { applyEdits } from './apply-edits.ts'
import { isVerdict } from './confirm-upload.ts'
import { bytesAreGone, dropStaging, endUpload, messagesFor, rejectUpload } from './end-upload.ts'
import type { UploadDeps } from './upload-deps.ts'
import { assertFacts, assertSameType, rulesOfRecord } from './upload-policy.ts'

type Checked = {
  /** As served: the uploaded bytes without their metadata. */
  readonly bytes: Buffer
  readonly sha256: string
  readonly facts: ImageFacts
  readonly verdict: Verdict
}

/**
 * THE JOB: everything that stands between uploaded bytes and a served image. May be run again at any point: what is served is written from
 * the very bytes that were checked, under a key no client can write to, and only the last transaction makes it visible.
 */
export async function processUpload(job: Job, deps: UploadDeps, signal: AbortSignal): Promise<void> {
  const uploadId = job.payload['uploadId'] ?? ''
  const upload = await deps.stores.uploads.move(uploadId, ['uploaded', 'processing'], 'processing', {
    fact: { attempt: job.attempt },
  })
  if (!upload) return clearAway(uploadId, deps)
  deps.changes.announce(uploadId)
  try {
    const checked = await checkUpload(upload, deps, signal)
    await publish(upload, checked, deps, signal)
  } catch (thrown) {
    // Whoever stopped the work has found out nothing of the picture.
    if (signal.aborted) throw thrown
    const error = toAppError(thrown)
    if (isVerdict(error.code) && !error.retryable) return rejectUpload(upload, ['processing'], error, deps)
    // No further try would find them.
    if (error.code === 'processing_failed') return void (await endUpload(upload, ['processing'], 'failed', error, deps))
    deps.log('warn', 'upload_attempt_failed', {
      uploadId,
      attempt: job.attempt,
      code: error.code,
      error: error.cause instanceof Error ? error.cause.message : error.message,
    })
    if (job.isLast(thrown)) {
      await endUpload(upload, ['processing'], 'failed', new AppError('processing_failed', { cause: thrown }), deps)
    }
    throw thrown
  }
}

async function checkUpload(upload: UploadRecord, deps: UploadDeps, signal: AbortSignal): Promise<Checked> {
  const { config, target, examiner, maxFrames } = deps
  const rules = rulesOfRecord(projectOf(config, upload.project), upload)
  const within = withDeadline(signal, config.targetTimeoutMs)
  // What was allowed and confirmed stays so when the limit is lowered.
  const maxBytes = Math.max(rules.maxBytes, upload.byteLength ?? 0)
  const uploaded = await target.read(upload.stagingKey, { maxBytes }, within)
  if (!uploaded) throw bytesAreGone()
  const sha256 = createHash('sha256').update(uploaded).digest('hex')
  if (upload.byteLength !== undefined && upload.byteLength !== uploaded.length) {
    throw new AppError('size_mismatch', { detail: `Declared as ${upload.byteLength} bytes; ${uploaded.length} came.` })
  }
  if (upload.sha256 !== undefined && upload.sha256 !== sha256) {
    throw new AppError('checksum_mismatch', { detail: `Declared as ${upload.sha256}; the bytes have ${sha256}.` })
  }
  const { facts, preview } = await examiner.examine(
    {
      key: sha256,
      bytes: uploaded,
      maxPixels: rules.maxPixels,
      maxFrames,
      allowSvg: rules.types.includes('image/svg+xml'),
    },
    signal,
  )
  assertSameType(upload.contentType, facts.format)
  assertFacts(rules, facts)
  const { imageId, project, visibility, kind } = upload
  const subject = {
    imageId,
    project,
    visibility,
    kind,
    sha256,
    perceptualHash: facts.perceptualHash,
    preview,
    bytes: uploaded,
  }
  const verdict = await deps.moderate(subject, signal)
  if (verdict.tier === 'reject') {
    throw new AppError('moderation_rejected', verdict.reason === undefined ? {} : { detail: verdict.reason })
  }
  return { bytes: applyEdits(uploaded, facts.edits), sha256, facts, verdict }
}

async function publish(upload: UploadRecord, checked: Checked, deps: UploadDeps, signal: AbortSignal): Promise<void> {
  const { stores, target, config } = deps
  const { bytes, sha256, facts, verdict } = checked
  const { project, owner } = upload
  const object = await stores.objects.begin({
    ...{ project, owner, sha256 },
    key: `objects/${newId('obj')}`,
    // What came clean is stored as it is, and hashing a large file holds up everything else.
    storedSha256: facts.edits.length === 0 ? sha256 : createHash('sha256').update(bytes).digest('hex'),
    byteLength: bytes.length,
  })
  const within = withDeadline(signal, config.targetTimeoutMs)
  const kept = object.state === 'stored' ? await target.head(object.key, within) : undefined
  if (kept?.byteLength !== object.byteLength) await target.write(object.key, bytes, contentTypeOf(facts.format), within)
  const isServed = verdict.tier === 'allow'
  const done = await stores.uploads.finish(upload.id, {
    state: isServed ? 'ready' : 'quarantined',
    objectKey: object.key,
    byteLength: object.byteLength,
    sha256,
    facts: factsOf(facts),
    ...(verdict.tier === 'quarantine' ? { reason: { code: 'quarantined', detail: verdict.reason } } : {}),
    messages: (version) =>
      messagesFor(
        upload,
        {
          type: isServed ? 'upload.ready' : 'upload.quarantined',
          payload: {
            uploadId: upload.id,
            imageId: upload.imageId,
            version,
            width: facts.width,
            height: facts.height,
            format: facts.format,
          },
        },
        deps,
      ),
  })
  if (done) deps.count(isServed ? 'ready' : 'quarantined')
  deps.changes.announce(upload.id)
  await dropStaging(upload, deps)
}

function factsOf({ edits: _, ...facts }: ImageFacts): VersionFacts {
  return facts
}

/** The work was done, by a try that was killed before it could clean up after itself. */
async function clearAway(uploadId: string, deps: UploadDeps): Promise<void> {
  const upload = await deps.stores.uploads.find(uploadId)
  if (upload && ['ready', 'quarantined', 'rejected'].includes(upload.state)) await dropStaging(upload, deps)
}
