import { sql } from 'kysely'
import { createServedImageQuery } from './served-image.ts'
import { listImages } from './list-images.ts'
import { isStill, lockImage, toImage, toVersion } from './image-rows.ts'
import { insertMessages } from './outbox-rows.ts'
import { removeImage } from './remove-image.ts'
import { reviewImage } from './review-image.ts'
import type { StoreContext } from './schema.ts'
import type { ImageStore } from './stores.ts'

export function createImageStore(context: StoreContext & { readonly changeMark: () => number }): ImageStore {
  const { db, now, changeMark } = context
  return {
    async find(id) {
      const row = await db.selectFrom('images').selectAll().where('id', '=', id).executeTakeFirst()
      return row && toImage(row)
    },
    findServed: createServedImageQuery(db),
    changeMark,
    async version(imageId, version) {
      const row = await db
        .selectFrom('versions')
        .selectAll()
        .where('image_id', '=', imageId)
        .where('version', '=', version)
        .executeTakeFirst()
      return row && toVersion(row)
    },
    async versions(imageId) {
      const rows = await db
        .selectFrom('versions')
        .selectAll()
        .where('image_id', '=', imageId)
        .orderBy('version', 'desc')
        .execute()
      return rows.map(toVersion)
    },
    list: (asked) => listImages(db, asked),
    update: (...update) => updateImage(context, ...update),
    review: (...review) => reviewImage(context, ...review),
    remove: (...remove) => removeImage(context, ...remove),
    async bumpEpoch(id) {
      const row = await db
        .updateTable('images')
        .set({ epoch: sql`epoch + 1`, updated_at_ms: now() })
        .where('id', '=', id)
        .where('state', '<>', 'deleted')
        .returningAll()
        .executeTakeFirst()
      return row && toImage(row)
    },
  }
}

function updateImage(
  { db, now }: StoreContext,
  ...[id, change, messages, judged]: Parameters<ImageStore['update']>
): ReturnType<ImageStore['update']> {
  const { metadata, ...columns } = change
  return db.transaction().execute(async (tx) => {
    const atMs = now()
    if (judged) {
      const image = await lockImage(tx, id)
      if (!image || !isStill(judged, image) || image.last_version !== judged.lastVersion) return undefined
    }
    const row = await tx
      .updateTable('images')
      .set({ ...columns, ...(metadata && { metadata: JSON.stringify(metadata) }), updated_at_ms: atMs })
      .where('id', '=', id)
      .where('state', '<>', 'deleted')
      .returningAll()
      .executeTakeFirst()
    if (row === undefined) return undefined
    await insertMessages(tx, row.project, messages, atMs)
    return toImage(row)
  })
}
