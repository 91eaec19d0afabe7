import type { UploadRecord } from '../db/records.ts'
import { AppError } from '../errors.ts'
import { enqueue } from './confirm-upload.ts'
import { deleteCondemned } from './delete-abandoned.ts'
import { endOverdue } from './end-overdue.ts'
import { endUpload } from './end-upload.ts'
import { forgetOld, type OldPlaces } from './forget-old.ts'
import { note, sweepEach, type Round, type Tally } from './sweep-each.ts'
import { sweepGhosts, sweepParts, type GhostPlaces } from './sweep-ghosts.ts'
import type { UploadDeps } from './upload-deps.ts'
import { withCause } from './targets/target-failure.ts'

/** Where the next round goes on; kept by whoever sweeps more than once. */
export type SweepPlaces = {
  pending?: { readonly updatedAtMs: number; readonly id: string } | undefined
  readonly ghosts: GhostPlaces
  old?: OldPlaces
}

// A page at a time: what is left waits for the next round.
const batch = 200

// Between the row that says `uploaded` and its job lies one write; a busy database may take seconds for it.
const strandedAfterMs = 15_000

// A job that takes its process down with it is not tried for ever.
const roundsOfTries = 2

/**
 * Finds what a crash, a closed tab or a lost confirm left behind, and does the safe part by itself. Each step is bounded, none is stopped
 * by another or by one bad row, and every change is a compare-and-set, so that two processes may sweep at once.
 */
export async function sweepUploads(
  deps: UploadDeps,
  signal: AbortSignal,
  places: SweepPlaces = { ghosts: {} },
): Promise<Tally> {
  const round: Round = { deps, signal, tally: {} }
  const steps: readonly (() => Promise<unknown>)[] = [
    () => endPending(places, round),
    () => requeueStranded(round),
    () => deleteObjects(round),
    () => sweepParts(round),
    () => sweepGhosts(places.ghosts, round),
    () => deps.stores.uploads.forgetIdempotency(deps.now()),
    () => forgetOld((places.old ??= {}), round),
  ]
  for (const step of steps) {
    if (signal.aborted) break
    try {
      await step()
    } catch (error) {
      if (signal.aborted) break
      note(round, 'error')
      deps.log('error', 'sweep_failed', withCause(error))
    }
  }
  return round.tally
}

/** A page of them, and the next page in the next round: those that are merely waited for must not keep the others from being seen. */
async function endPending(places: SweepPlaces, round: Round): Promise<void> {
  const { deps, signal } = round
  const overdue = await deps.stores.uploads.stale({
    ...{ states: ['pending'], expiredAtMs: deps.now(), limit: batch },
    ...(places.pending && { after: places.pending }),
  })
  await sweepEach(
    overdue,
    async (upload) => {
      const end = await endOverdue(upload, deps, signal)
      return end === 'left' ? undefined : end
    },
    round,
  )
  places.pending = overdue.length < batch ? undefined : overdue.at(-1)
}

async function requeueStranded(round: Round): Promise<void> {
  const { deps } = round
  const stranded = await deps.stores.survey.stranded(deps.now() - strandedAfterMs, batch)
  await sweepEach(
    stranded,
    async (upload) => {
      if ((await triesOf(upload, deps)) < roundsOfTries * deps.config.maxAttempts) {
        await enqueue(upload, deps)
        return 'requeued'
      }
      const why = new AppError('processing_failed', {
        detail: 'It could not be processed, however often it was tried.',
      })
      return (await endUpload(upload, ['uploaded', 'processing'], 'failed', why, deps)) ? 'given_up' : undefined
    },
    round,
  )
}

/** Since it was confirmed, or taken up again by hand. */
async function triesOf(upload: UploadRecord, { stores }: UploadDeps): Promise<number> {
  const events = await stores.uploads.events(upload.id)
  const since = events.findLastIndex(({ to }) => to === 'uploaded')
  return events.slice(since + 1).filter(({ to }) => to === 'processing').length
}

async function deleteObjects(round: Round): Promise<void> {
  const { deps, signal } = round
  const condemned = await deps.stores.objects.abandoned(deps.now() - deps.config.graceSeconds * 1000, batch)
  await sweepEach(
    condemned,
    async ({ key }) => {
      await deleteCondemned(key, deps, signal)
      return 'object_deleted'
    },
    round,
  )
}
