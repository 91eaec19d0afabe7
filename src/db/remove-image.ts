import { insertMessages } from './outbox-rows.ts'
import { countImage, lockImage } from './image-rows.ts'
import { releaseObjects } from './release-objects.ts'
import type { StoreContext, Tx } from './schema.ts'
import type { ImageStore } from './stores.ts'
import { isOpen, moveUpload, openStates } from './upload-rows.ts'
import { changeUsage, lockUsage } from './usage.ts'

/** Image, versions and uploads become `deleted` in one transaction, and the quota is released. */
export function removeImage(
  { db, now }: StoreContext,
  ...[id, messages]: Parameters<ImageStore['remove']>
): ReturnType<ImageStore['remove']> {
  return db.transaction().execute(async (tx) => {
    const owner = await tx.selectFrom('images').select(['project', 'owner']).where('id', '=', id).executeTakeFirst()
    if (owner === undefined) return undefined
    const atMs = now()
    await lockUsage(tx, owner)
    if ((await lockImage(tx, id)) === undefined) return undefined
    await countImage(tx, id, 'deleted')
    await tx
      .updateTable('images')
      .set({ state: 'deleted', version: null, updated_at_ms: atMs })
      .where('id', '=', id)
      .execute()
    await deleteUploads(tx, id, atMs)
    const versions = await tx
      .updateTable('versions')
      .set({ state: 'deleted' })
      .where('image_id', '=', id)
      .where('state', 'in', ['ready', 'quarantined'])
      .returning('object_key')
      .execute()
    const keys = versions.map((version) => version.object_key)
    const objectKeys = await releaseObjects(tx, owner, keys, atMs)
    await insertMessages(tx, owner.project, messages, atMs)
    return { objectKeys }
  })
}

async function deleteUploads(tx: Tx, imageId: string, atMs: number): Promise<void> {
  const states = { from: [...openStates, 'ready', 'quarantined'], to: 'deleted', atMs } as const
  const uploads = await tx
    .selectFrom('uploads')
    .select('id')
    .where('image_id', '=', imageId)
    .where('state', 'in', [...states.from])
    .orderBy('id')
    .execute()
  for (const { id } of uploads) {
    const moved = await moveUpload(tx, id, states)
    if (moved && isOpen(moved.from)) {
      await changeUsage(tx, moved.upload, { reservedBytes: -moved.upload.reservedBytes, openUploads: -1 })
    }
  }
}
