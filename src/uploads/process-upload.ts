import { createHash } from 'node:crypto'
import type { ObjectRecord, UploadRecord, VersionFacts } from '../db/records.ts'
import type { JudgedAs } from '../db/stores.ts'
import { AppError, toAppError } from '../errors.ts'
import type { Job } from '../jobs/job-queue.ts'
import { withDeadline } from '../lib/deadline.ts'
import { newId } from '../lib/new-id.ts'
import type { ModerationSubject, Verdict } from '../moderation/moderator.ts'
import { contentTypeOf } from '../transform/image/formats.ts'
import type { ImageFacts } from '../transform/image/image-facts.ts'
import { projectOf } from './access.ts'
import { applyEdits } from './apply-edits.ts'
import { assertSum, isVerdict } from './confirm-upload.ts'
import { bytesAreGone, dropStaging, endUpload, messagesFor, rejectUpload } from './end-upload.ts'
import type { UploadDeps } from './upload-deps.ts'
import { assertFacts, assertSameType, assertStored, rulesOfRecord } from './upload-policy.ts'

type Checked = {
  /** As served: the uploaded bytes without their metadata. */
  readonly bytes: Buffer
  readonly sha256: string
  readonly byteLength: number
  readonly facts: ImageFacts
  /** What a moderator is to look at. */
  readonly subject: Pick<ModerationSubject, 'sha256' | 'perceptualHash' | 'preview' | 'bytes'>
}

/** Whoever changes an image so often is in the way of its own upload. */
const mostJudgements = 5

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
  const rules = rulesOfRecord(projectOf(config, upload.project), await intendedFor(upload, deps))
  const within = withDeadline(signal, config.targetTimeoutMs)
  // What was allowed and confirmed stays so when the limit is lowered.
  const maxBytes = Math.max(rules.maxBytes, upload.byteLength ?? 0)
  const uploaded = await target.read(upload.stagingKey, { maxBytes }, within)
  if (!uploaded) throw bytesAreGone()
  const sha256 = createHash('sha256').update(uploaded).digest('hex')
  if (upload.byteLength !== undefined && upload.byteLength !== uploaded.length) {
    throw new AppError('size_mismatch', { detail: `Declared as ${upload.byteLength} bytes; ${uploaded.length} came.` })
  }
  assertSum(upload.sha256, sha256)
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
  const subject = { sha256, perceptualHash: facts.perceptualHash, preview, bytes: uploaded }
  return { bytes: applyEdits(uploaded, facts.edits), sha256, byteLength: uploaded.length, facts, subject }
}

/** What the picture will be shown as, which its owner may have changed since the upload was allowed. */
async function intendedFor({ imageId, visibility, kind }: UploadRecord, { stores }: UploadDeps): Promise<JudgedAs> {
  const shown = (await stores.images.find(imageId)) ?? { visibility, kind }
  return { visibility: shown.visibility, kind: shown.kind }
}

/** The rules of what it will be shown as, and then the moderators. Throws what it is rejected for. */
async function judge(
  upload: UploadRecord,
  asked: { readonly judgedAs: JudgedAs; readonly checked: Checked },
  deps: UploadDeps,
  signal: AbortSignal,
): Promise<Verdict> {
  const { judgedAs, checked } = asked
  const { facts, byteLength, subject } = checked
  const rules = rulesOfRecord(projectOf(deps.config, upload.project), judgedAs)
  // As the kind it was allowed for, it has been held to these already.
  if (judgedAs.kind !== upload.kind) assertStored(rules, { contentType: contentTypeOf(facts.format), byteLength })
  assertFacts(rules, facts)
  const { imageId, project } = upload
  const verdict = await deps.moderate({ imageId, project, ...judgedAs, ...subject }, signal)
  if (verdict.tier === 'reject') {
    throw new AppError('moderation_rejected', verdict.reason === undefined ? {} : { detail: verdict.reason })
  }
  return verdict
}

/** Nothing is shown that was not judged as what it is shown as: where that has changed meanwhile, it is judged again. */
async function publish(upload: UploadRecord, checked: Checked, deps: UploadDeps, signal: AbortSignal): Promise<void> {
  let object: ObjectRecord | undefined
  for (let judgements = 0; judgements < mostJudgements; judgements++) {
    const judgedAs = await intendedFor(upload, deps)
    const verdict = await judge(upload, { judgedAs, checked }, deps, signal)
    object ??= await store(upload, checked, deps, signal)
    const done = await finish(upload, { checked, judgedAs, verdict, object }, deps)
    if (done) deps.count(verdict.tier === 'allow' ? 'ready' : 'quarantined')
    else if ((await deps.stores.uploads.find(upload.id))?.state === 'processing') continue
    deps.changes.announce(upload.id)
    return dropStaging(upload, deps)
  }
  throw new AppError('overloaded', { detail: 'The image was changed each time its picture was judged.' })
}

/** Writes the bytes under a key that no client can write to, unless the owner has them already. */
async function store(
  { project, owner }: UploadRecord,
  checked: Checked,
  deps: UploadDeps,
  signal: AbortSignal,
): Promise<ObjectRecord> {
  const { stores, target, config } = deps
  const { bytes, sha256, facts } = checked
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
  return object
}

async function finish(
  upload: UploadRecord,
  judged: {
    readonly checked: Checked
    readonly judgedAs: JudgedAs
    readonly verdict: Verdict
    readonly object: ObjectRecord
  },
  deps: UploadDeps,
): Promise<boolean> {
  const { checked, judgedAs, verdict, object } = judged
  const { sha256, facts } = checked
  const isServed = verdict.tier === 'allow'
  const done = await deps.stores.uploads.finish(upload.id, {
    judgedAs,
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
  return done !== undefined
}

function factsOf({ edits: _, ...facts }: ImageFacts): VersionFacts {
  return facts
}

/** The work was done, by a try that was killed before it could clean up after itself. */
async function clearAway(uploadId: string, deps: UploadDeps): Promise<void> {
  const upload = await deps.stores.uploads.find(uploadId)
  if (upload && ['ready', 'quarantined', 'rejected'].includes(upload.state)) await dropStaging(upload, deps)
}
