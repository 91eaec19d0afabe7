import { lockImage, settleImage } from './image-rows.ts'
import { insertMessages } from './outbox-rows.ts'
import type { UploadRecord, UploadState } from './records.ts'
import type { StoreContext } from './schema.ts'
import type { UploadStore } from './stores.ts'
import { isOpen, moveUpload } from './upload-rows.ts'
import { changeUsage, lockUsage } from './usage.ts'

type End = Parameters<UploadStore['end']>[2]
type Why = Parameters<UploadStore['end']>[3]

/** The other ends than a good one, in one transaction: what was held back is released. */
export function endUpload(
  { db, now }: StoreContext,
  id: string,
  states: { readonly from: readonly UploadState[]; readonly to: End },
  why: Why,
): Promise<UploadRecord | undefined> {
  return db.transaction().execute(async (tx) => {
    const found = await tx
      .selectFrom('uploads')
      .select(['project', 'owner', 'image_id'])
      .where('id', '=', id)
      .where('state', 'in', [...states.from])
      .executeTakeFirst()
    if (found === undefined) return undefined
    const atMs = now()
    await lockUsage(tx, found)
    const image = await lockImage(tx, found.image_id)
    const { reason } = why
    const moved = await moveUpload(
      tx,
      id,
      { ...states, atMs },
      {
        ...(reason && {
          reason_code: reason.code,
          reason_detail: reason.detail ?? null,
          fact: { reason: reason.code },
        }),
      },
    )
    if (moved === undefined) return undefined
    const { upload, from } = moved
    if (isOpen(from)) await changeUsage(tx, found, { reservedBytes: -upload.reservedBytes, openUploads: -1 })
    if (image?.last_version === 0) {
      await settleImage(tx, image.id, { atMs, otherwise: states.to === 'rejected' ? 'rejected' : 'deleted' })
    }
    await insertMessages(tx, found.project, why.messages ?? [], atMs)
    return upload
  })
}
