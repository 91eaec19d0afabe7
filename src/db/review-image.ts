import { lockImage, settleImage } from './image-rows.ts'
import { insertMessages } from './outbox-rows.ts'
import { releaseObjects } from './release-objects.ts'
import type { StoreContext } from './schema.ts'
import type { ImageStore } from './stores.ts'
import { moveUpload } from './upload-rows.ts'
import { lockUsage } from './usage.ts'

/** The verdict on the newest quarantined version, also of an image that serves an older one meanwhile. */
export function reviewImage(
  { db, now }: StoreContext,
  ...[id, verdict, messages]: Parameters<ImageStore['review']>
): ReturnType<ImageStore['review']> {
  return db.transaction().execute(async (tx) => {
    const owner = await tx.selectFrom('images').select(['project', 'owner']).where('id', '=', id).executeTakeFirst()
    if (owner === undefined) return undefined
    const atMs = now()
    await lockUsage(tx, owner)
    if ((await lockImage(tx, id)) === undefined) return undefined
    const version = await tx
      .selectFrom('versions')
      .innerJoin('uploads', 'uploads.id', 'versions.upload_id')
      .select(['versions.version', 'versions.upload_id', 'versions.object_key', 'uploads.filename'])
      .where('versions.image_id', '=', id)
      .where('versions.state', '=', 'quarantined')
      .orderBy('versions.version', 'desc')
      .limit(1)
      .executeTakeFirst()
    if (version === undefined) return undefined
    await tx
      .updateTable('versions')
      .set({ state: verdict })
      .where('image_id', '=', id)
      .where('version', '=', version.version)
      .execute()
    await moveUpload(
      tx,
      version.upload_id,
      { from: ['quarantined'], to: verdict, atMs },
      {
        fact: { reviewed: true, version: version.version },
        // Approved, nothing is wrong with it any more; thrown out, it is so for good, with the words of the moderator.
        ...(verdict === 'ready' ? { reason_code: null, reason_detail: null } : { reason_code: 'moderation_rejected' }),
      },
    )
    if (verdict === 'rejected') await releaseObjects(tx, owner, [version.object_key], atMs)
    const image = await settleImage(tx, id, { atMs, otherwise: 'rejected' })
    const isServed = image.version === version.version
    const settled = isServed
      ? await settleImage(tx, id, { atMs, otherwise: 'rejected', filename: version.filename })
      : image
    await insertMessages(tx, owner.project, messages, atMs)
    return settled
  })
}
