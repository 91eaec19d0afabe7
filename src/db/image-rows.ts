import { sql } from 'kysely'
import type { ImageRecord, ImageState, VersionRecord } from './records.ts'
import type { ImageRow, Tx, VersionRow } from './schema.ts'
import type { JudgedAs } from './stores.ts'
import { openStates } from './upload-rows.ts'
import { changeUsage, countedStates } from './usage.ts'

export function toImage(row: Omit<ImageRow, 'last_version'>): ImageRecord {
  return {
    id: row.id,
    project: row.project,
    owner: row.owner,
    state: row.state,
    visibility: row.visibility,
    kind: row.kind ?? undefined,
    subject: row.subject ?? undefined,
    filename: row.filename,
    metadata: JSON.parse(row.metadata) as ImageRecord['metadata'],
    version: row.version ?? undefined,
    epoch: row.epoch,
    createdAtMs: row.created_at_ms,
    updatedAtMs: row.updated_at_ms,
  }
}

export function toVersion(row: VersionRow): VersionRecord {
  return {
    imageId: row.image_id,
    version: row.version,
    uploadId: row.upload_id,
    state: row.state,
    objectKey: row.object_key,
    byteLength: row.byte_length,
    sha256: row.sha256,
    facts: JSON.parse(row.facts) as VersionRecord['facts'],
    createdAtMs: row.created_at_ms,
  }
}

/** Takes the row of an image that is not deleted, so that nobody else changes it in this transaction; FOR UPDATE is not in every dialect. */
export async function lockImage(tx: Tx, id: string): Promise<ImageRow | undefined> {
  return tx
    .updateTable('images')
    .set({ epoch: sql`epoch` })
    .where('id', '=', id)
    .where('state', '<>', 'deleted')
    .returningAll()
    .executeTakeFirst()
}

/** Whether an image is still what it was when its picture was judged. */
export function isStill(judged: JudgedAs, image: Pick<ImageRow, 'visibility' | 'kind'>): boolean {
  return image.visibility === judged.visibility && (image.kind ?? undefined) === judged.kind
}

/**
 * Brings state and served version in line with the versions: the newest ready one is served; without one the image waits for review,
 * for an upload, or is `otherwise`. The caller holds its row, and before it the usage of its owner.
 */
export async function settleImage(
  tx: Tx,
  id: string,
  how: { readonly atMs: number; readonly filename?: string; readonly otherwise: 'rejected' | 'deleted' },
): Promise<ImageRecord> {
  const newest = async (state: 'ready' | 'quarantined') => {
    const row = await tx
      .selectFrom('versions')
      .select('version')
      .where('image_id', '=', id)
      .where('state', '=', state)
      .orderBy('version', 'desc')
      .limit(1)
      .executeTakeFirst()
    return row?.version
  }
  const served = await newest('ready')
  const state =
    served !== undefined
      ? 'ready'
      : (await newest('quarantined')) !== undefined
        ? 'quarantined'
        : (await hasOpenUpload(tx, id))
          ? 'pending'
          : how.otherwise
  await countImage(tx, id, state)
  const row = await tx
    .updateTable('images')
    .set({
      state,
      version: served ?? null,
      updated_at_ms: how.atMs,
      ...(how.filename !== undefined && { filename: how.filename }),
    })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow()
  return toImage(row)
}

/** Before an image goes over to a state: counts it in or out. The caller holds its row, and before it the usage of its owner. */
export async function countImage(tx: Tx, id: string, to: ImageState): Promise<void> {
  const row = await tx
    .selectFrom('images')
    .select(['project', 'owner', 'state'])
    .where('id', '=', id)
    .executeTakeFirstOrThrow()
  const images = Number(countedStates.includes(to)) - Number(countedStates.includes(row.state))
  if (images !== 0) await changeUsage(tx, row, { images })
}

async function hasOpenUpload(tx: Tx, imageId: string): Promise<boolean> {
  const row = await tx
    .selectFrom('uploads')
    .select('id')
    .where('image_id', '=', imageId)
    .where('state', 'in', [...openStates])
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}
