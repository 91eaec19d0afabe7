import type { UploadRecord } from '../db/records.ts'
import { withDeadline } from '../lib/deadline.ts'
import { note, sweepEach, type Round } from './sweep-each.ts'
import type { UploadDeps } from './upload-deps.ts'

/** Where the next round goes on: uploads whose bytes are kept must not keep the others from being seen. */
export type OldPlaces = { uploads?: Pick<UploadRecord, 'updatedAtMs' | 'id'> | undefined }

// A page of each in a round; what is left waits for the next.
const batch = 200

/** Whatever ended before is old. A key that may still be repeated keeps its upload. */
export function oldUntilMs({ config, now }: Pick<UploadDeps, 'config' | 'now'>): number {
  return now() - Math.max(config.retentionSeconds, config.idempotencySeconds) * 1000
}

/** Whether nothing is left of an upload but its rows: bytes are for people (`failed`) or for the other steps of the sweeper. */
export async function isBare(upload: UploadRecord, deps: UploadDeps, signal: AbortSignal): Promise<boolean> {
  const within = withDeadline(signal, deps.config.targetTimeoutMs)
  return (await deps.target.head(upload.stagingKey, within)) === undefined
}

/** Removes the rows of what ended long ago: uploads with their events, images with the last of them, dead messages and jobs. */
export async function forgetOld(places: OldPlaces, round: Round): Promise<void> {
  const { deps, signal } = round
  const { history } = deps.stores
  const untilMs = oldUntilMs(deps)
  const uploads = await history.uploads(untilMs, batch, places.uploads)
  await sweepEach(
    uploads,
    async (upload) => {
      const isGone = (await isBare(upload, deps, signal)) && (await history.forgetUpload(upload.id, untilMs))
      return isGone ? 'old_upload' : undefined
    },
    round,
  )
  places.uploads = uploads.length < batch ? undefined : uploads.at(-1)
  for (const id of await history.messages(untilMs, batch))
    if (await history.forget('message', id)) note(round, 'old_message')
  for (const id of await history.jobs(untilMs, batch)) if (await history.forget('job', id)) note(round, 'old_job')
}
