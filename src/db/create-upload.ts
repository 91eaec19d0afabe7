import { AppError } from '../errors.ts'
import { lockImage } from './image-rows.ts'
import type { UploadRecord } from './records.ts'
import type { StoreContext, Tx } from './schema.ts'
import type { NewUpload, UploadStore } from './stores.ts'
import { insertEvent, toUpload } from './upload-rows.ts'
import { reserveUsage } from './usage.ts'

type CreateOptions = Parameters<UploadStore['create']>[1]
type Created = Awaited<ReturnType<UploadStore['create']>>

/** One transaction: the idempotency key, the quota, the image, the upload, its first event. */
export function createUpload({ db }: StoreContext, upload: NewUpload, options: CreateOptions): Promise<Created> {
  return db.transaction().execute(async (tx) => {
    const earlier = await claimIdempotencyKey(tx, upload, options.idempotency)
    if (earlier !== undefined) return { upload: earlier, repeated: true }
    await reserveUsage(tx, upload, upload.reservedBytes, options.quota)
    await insertImage(tx, upload)
    return { upload: await insertUpload(tx, upload), repeated: false }
  })
}

/**
 * The upload that the key made before; undefined when the key is now ours. Inserting first makes a second request with the same key wait
 * for the end of the first.
 */
async function claimIdempotencyKey(
  tx: Tx,
  upload: NewUpload,
  asked: CreateOptions['idempotency'],
): Promise<UploadRecord | undefined> {
  if (asked === undefined) return undefined
  const { principal, key, bodyHash, untilMs } = asked
  const claim = { body_hash: bodyHash, upload_id: upload.id, until_ms: untilMs }
  const claimed = await tx
    .insertInto('idempotency_keys')
    .values({ principal, key, ...claim })
    .onConflict((conflict) =>
      conflict
        .columns(['principal', 'key'])
        .doUpdateSet(claim)
        .where('idempotency_keys.until_ms', '<=', upload.createdAtMs),
    )
    .returning('upload_id')
    .executeTakeFirst()
  if (claimed !== undefined) return undefined
  const earlier = await tx
    .selectFrom('idempotency_keys')
    .innerJoin('uploads', 'uploads.id', 'idempotency_keys.upload_id')
    .selectAll('uploads')
    .select('idempotency_keys.body_hash')
    .where('idempotency_keys.principal', '=', principal)
    .where('idempotency_keys.key', '=', key)
    .executeTakeFirstOrThrow()
  if (earlier.body_hash !== bodyHash)
    throw new AppError('idempotency_mismatch', { detail: 'Send the same body as before, or another Idempotency-Key.' })
  return toUpload(earlier)
}

async function insertImage(tx: Tx, upload: NewUpload): Promise<void> {
  const { id, project, owner, visibility, filename, createdAtMs } = { ...upload, id: upload.imageId }
  const inserted = await tx
    .insertInto('images')
    .values({
      ...{ id, project, owner, visibility, filename },
      state: 'pending',
      kind: upload.kind ?? null,
      subject: upload.subject ?? null,
      metadata: JSON.stringify(upload.metadata),
      version: null,
      last_version: 0,
      epoch: 0,
      created_at_ms: createdAtMs,
      updated_at_ms: createdAtMs,
    })
    .onConflict((conflict) => conflict.column('id').doNothing())
    .returning('id')
    .executeTakeFirst()
  if (inserted !== undefined) return
  const image = await lockImage(tx, id)
  if (image?.project !== project || image.owner !== owner) {
    throw new AppError('not_found', { detail: 'There is no such image.' })
  }
}

async function insertUpload(tx: Tx, upload: NewUpload): Promise<UploadRecord> {
  const { id, project, owner, way, filename, visibility } = upload
  const row = await tx
    .insertInto('uploads')
    .values({
      ...{ id, project, owner, way, filename, visibility },
      image_id: upload.imageId,
      state: 'pending',
      byte_length: upload.byteLength ?? null,
      content_type: upload.contentType,
      sha256: upload.sha256 ?? null,
      kind: upload.kind ?? null,
      subject: upload.subject ?? null,
      metadata: JSON.stringify(upload.metadata),
      staging_key: upload.stagingKey,
      multipart_id: upload.multipartId ?? null,
      part_bytes: upload.partBytes ?? null,
      reserved_bytes: upload.reservedBytes,
      reason_code: null,
      reason_detail: null,
      version: null,
      event_count: 1,
      expires_at_ms: upload.expiresAtMs,
      created_at_ms: upload.createdAtMs,
      updated_at_ms: upload.createdAtMs,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  const event = { atMs: upload.createdAtMs, from: undefined, to: 'pending', fact: { way } } as const
  await insertEvent(tx, id, { number: 1, event })
  return toUpload(row)
}
