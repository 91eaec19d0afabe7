import { sql } from 'kysely'
import { AppError } from '../errors.ts'
import { isStill, lockImage, settleImage, toVersion } from './image-rows.ts'
import { insertMessages } from './outbox-rows.ts'
import type { Owner, UploadRecord, VersionRecord } from './records.ts'
import type { StoreContext, Tx } from './schema.ts'
import type { UploadStore } from './stores.ts'
import { moveUpload, toUpload } from './upload-rows.ts'
import { changeUsage, lockUsage } from './usage.ts'

type Result = Parameters<UploadStore['finish']>[1]
type Finished = Awaited<ReturnType<UploadStore['finish']>>

/** Rows are taken in the order usage, image, upload, object by every transaction, so that none waits for another in a circle. */
export function finishUpload({ db, now }: StoreContext, id: string, result: Result): Promise<Finished> {
  return db.transaction().execute(async (tx) => {
    const found = await tx.selectFrom('uploads').selectAll().where('id', '=', id).executeTakeFirst()
    if (found?.state !== 'processing') return undefined
    const before = toUpload(found)
    const atMs = now()
    await lockUsage(tx, before)
    const image = await lockImage(tx, before.imageId)
    if (image === undefined || (result.judgedAs && !isStill(result.judgedAs, image))) return undefined
    const number = image.last_version + 1
    const upload = await settle(tx, before, { result, number, atMs })
    if (upload === undefined) return undefined
    const { objectKey, addedBytes } = await keepObject(tx, before, result.objectKey, atMs)
    await changeUsage(tx, before, {
      reservedBytes: -before.reservedBytes,
      openUploads: -1,
      storedBytes: addedBytes ?? 0,
      objects: addedBytes === undefined ? 0 : 1,
    })
    const version = await insertVersion(tx, upload, { result, number, atMs, objectKey })
    const filename = result.state === 'ready' ? { filename: upload.filename } : {}
    const settled = await settleImage(tx, image.id, { atMs, otherwise: 'deleted', ...filename })
    await insertMessages(tx, upload.project, result.messages(number), atMs)
    return { upload, image: settled, version }
  })
}

async function settle(
  tx: Tx,
  { id }: UploadRecord,
  { result, number, atMs }: { result: Result; number: number; atMs: number },
): Promise<UploadRecord | undefined> {
  const { state, reason } = result
  const moved = await moveUpload(
    tx,
    id,
    { from: ['processing'], to: state, atMs },
    {
      version: number,
      fact: { version: number, ...(reason && { reason: reason.code }) },
      ...(reason && { reason_code: reason.code, reason_detail: reason.detail ?? null }),
    },
  )
  return moved?.upload
}

/**
 * The object under which the bytes are kept from now on: another one when this owner got the same bytes stored meanwhile. Throws when
 * it is being deleted: the bytes may be gone, and the next try of the job writes them again.
 */
async function keepObject(
  tx: Tx,
  { project, owner }: Owner,
  key: string,
  atMs: number,
): Promise<{ readonly objectKey: string; readonly addedBytes: number | undefined }> {
  const object = await tx
    .updateTable('objects')
    .set({ updated_at_ms: atMs })
    .where('key', '=', key)
    .where('project', '=', project)
    .where('owner', '=', owner)
    .where('state', 'in', ['writing', 'stored'])
    .returning(['state', 'stored_sha256', 'byte_length'])
    .executeTakeFirst()
  if (object === undefined) throw new AppError('internal', { details: { lostObject: key } })
  if (object.state === 'stored') return { objectKey: key, addedBytes: undefined }
  const same = await tx
    .selectFrom('objects')
    .select('key')
    .where('project', '=', project)
    .where('owner', '=', owner)
    .where('stored_sha256', '=', object.stored_sha256)
    .where('state', '=', sql.lit('stored'))
    .executeTakeFirst()
  await tx
    .updateTable('objects')
    .set({ state: same === undefined ? 'stored' : 'deleting' })
    .where('key', '=', key)
    .execute()
  return same === undefined
    ? { objectKey: key, addedBytes: object.byte_length }
    : { objectKey: same.key, addedBytes: undefined }
}

async function insertVersion(
  tx: Tx,
  { imageId, id }: UploadRecord,
  made: { result: Result; number: number; atMs: number; objectKey: string },
): Promise<VersionRecord> {
  const { result, number, atMs, objectKey } = made
  await tx.updateTable('images').set({ last_version: number }).where('id', '=', imageId).execute()
  const row = await tx
    .insertInto('versions')
    .values({
      image_id: imageId,
      version: number,
      upload_id: id,
      state: result.state,
      object_key: objectKey,
      byte_length: result.byteLength,
      sha256: result.sha256,
      facts: JSON.stringify(result.facts),
      created_at_ms: atMs,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  return toVersion(row)
}
