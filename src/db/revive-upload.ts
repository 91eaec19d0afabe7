import { sql } from 'kysely'
import type { ImageState, UploadRecord } from './records.ts'
import type { StoreContext, Tx } from './schema.ts'
import type { QuotaLimits } from './stores.ts'
import { moveUpload } from './upload-rows.ts'
import { lockUsage, reserveUsage } from './usage.ts'

/** A failed upload is `uploaded` again, with the quota held back anew, and the image that went with it waits again. */
export function reviveUpload(
  { db, now }: StoreContext,
  id: string,
  quota: QuotaLimits,
): Promise<UploadRecord | undefined> {
  return db.transaction().execute(async (tx) => {
    const found = await tx
      .selectFrom('uploads')
      .select(['project', 'owner', 'image_id'])
      .where('id', '=', id)
      .where('state', '=', 'failed')
      .executeTakeFirst()
    if (found === undefined) return undefined
    const atMs = now()
    await lockUsage(tx, found)
    if (!(await reviveImage(tx, found.image_id, atMs))) return undefined
    const states = { from: ['failed'], to: 'uploaded', atMs } as const
    const moved = await moveUpload(tx, id, states, { fact: { revived: true }, reason_code: null, reason_detail: null })
    if (moved === undefined) return undefined
    await reserveUsage(tx, found, moved.upload.reservedBytes, quota)
    return moved.upload
  })
}

/** False for an image that its owner has deleted: an upload in state `deleted` tells it from one that merely failed. */
async function reviveImage(tx: Tx, id: string, atMs: number): Promise<boolean> {
  const row = await tx
    .updateTable('images')
    .set({ state: sql<ImageState>`case when state = 'deleted' then 'pending' else state end`, updated_at_ms: atMs })
    .where('id', '=', id)
    .where(
      sql<boolean>`(state <> 'deleted' or (last_version = 0 and not exists
        (select 1 from uploads where uploads.image_id = images.id and uploads.state = 'deleted')))`,
    )
    .returning('id')
    .executeTakeFirst()
  return row !== undefined
}
