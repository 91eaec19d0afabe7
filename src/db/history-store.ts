import { sql } from 'kysely'
import type { ImageState, UploadState } from './records.ts'
import type { StoreContext, Tx } from './schema.ts'
import type { HistoryStore } from './stores.ts'
import { isBehind, toUpload } from './upload-rows.ts'

const endedStates: readonly UploadState[] = ['expired', 'rejected', 'failed', 'deleted']
const goneStates: readonly ImageState[] = ['deleted', 'rejected']

/** The numbering and the history of an image that is still there stand on its versions, also on those that are not shown. */
const standsAlone = sql<boolean>`not exists (select 1 from versions inner join images on images.id = versions.image_id
  where versions.upload_id = uploads.id
  and (images.state not in (${sql.join(goneStates)}) or versions.state in ('ready', 'quarantined')))`

/** Whoever wants to try one again finds the upload, and by it the job. */
const isNotToBeRetried = sql<boolean>`not exists (select 1 from uploads where uploads.id = jobs.dedupe_key
  and uploads.state in ('uploaded', 'processing', 'failed'))`

export function createHistoryStore({ db }: StoreContext): HistoryStore {
  return {
    async uploads(untilMs, limit, after) {
      const rows = await db
        .selectFrom('uploads')
        .selectAll()
        .where('state', 'in', [...endedStates])
        .where('updated_at_ms', '<=', untilMs)
        .where(standsAlone)
        .$if(after !== undefined, (query) => query.where(isBehind(after)))
        .orderBy('updated_at_ms')
        .orderBy('id')
        .limit(limit)
        .execute()
      return rows.map(toUpload)
    },
    forgetUpload: (id, untilMs) => db.transaction().execute((tx) => forgetUpload(tx, id, untilMs)),
    messages: (untilMs, limit) =>
      idsOf(
        db
          .selectFrom('outbox')
          .select('id')
          .where('state', '=', 'dead')
          .where('updated_at_ms', '<=', untilMs)
          .orderBy('updated_at_ms')
          .limit(limit),
      ),
    jobs: (untilMs, limit) =>
      idsOf(
        db
          .selectFrom('jobs')
          .select('id')
          .where('state', '=', 'dead')
          .where('died_at_ms', '<=', untilMs)
          .where(isNotToBeRetried)
          .orderBy('died_at_ms')
          .limit(limit),
      ),
    async forget(what, id) {
      // What was tried again meanwhile is no longer dead.
      const table = what === 'message' ? 'outbox' : 'jobs'
      const row = await db
        .deleteFrom(table)
        .where('id', '=', id)
        .where('state', '=', 'dead')
        .returning('id')
        .executeTakeFirst()
      return row !== undefined
    },
  }
}

async function idsOf(query: { execute(): Promise<readonly { readonly id: string }[]> }): Promise<readonly string[]> {
  return (await query.execute()).map(({ id }) => id)
}

/** The image first, as everywhere: who revives the upload takes its row before that of the upload, too. */
async function forgetUpload(tx: Tx, id: string, untilMs: number): Promise<boolean> {
  const image = await tx
    .updateTable('images')
    .set({ epoch: sql`epoch` })
    .where('id', '=', (query) => query.selectFrom('uploads').select('image_id').where('uploads.id', '=', id))
    .returning(['id', 'state'])
    .executeTakeFirst()
  const upload = await tx
    .updateTable('uploads')
    .set({ event_count: sql`event_count` })
    .where('id', '=', id)
    .where('state', 'in', [...endedStates])
    .where('updated_at_ms', '<=', untilMs)
    .where(standsAlone)
    .returning('id')
    .executeTakeFirst()
  if (image === undefined || upload === undefined) return false
  await tx.deleteFrom('upload_events').where('upload_id', '=', id).execute()
  await tx.deleteFrom('versions').where('upload_id', '=', id).execute()
  await tx.deleteFrom('uploads').where('id', '=', id).execute()
  if (goneStates.includes(image.state)) await forgetImage(tx, image.id)
  return true
}

/** With the last upload that spoke of it. */
async function forgetImage(tx: Tx, id: string): Promise<void> {
  const left = await tx.selectFrom('uploads').select('id').where('image_id', '=', id).limit(1).executeTakeFirst()
  if (left !== undefined) return
  await tx.deleteFrom('shares').where('image_id', '=', id).execute()
  await tx.deleteFrom('images').where('id', '=', id).execute()
}
