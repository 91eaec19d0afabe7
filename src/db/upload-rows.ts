import { sql } from 'kysely'
import type { UploadEvent, UploadRecord, UploadState } from './records.ts'
import type { Tx, UploadRow } from './schema.ts'

/** States in which an upload still holds quota back. */
export const openStates: readonly UploadState[] = ['pending', 'uploaded', 'processing']

export function isOpen(state: UploadState): boolean {
  return openStates.includes(state)
}

/** For pages of uploads in the order of their last change. */
export function isBehind(last: { readonly updatedAtMs: number; readonly id: string } | undefined) {
  return sql<boolean>`(updated_at_ms, id) > (${last?.updatedAtMs}, ${last?.id})`
}

export function toUpload(row: UploadRow): UploadRecord {
  return {
    id: row.id,
    project: row.project,
    owner: row.owner,
    imageId: row.image_id,
    state: row.state,
    way: row.way,
    filename: row.filename,
    byteLength: row.byte_length === null ? undefined : Number(row.byte_length),
    contentType: row.content_type,
    sha256: row.sha256 ?? undefined,
    visibility: row.visibility,
    kind: row.kind ?? undefined,
    subject: row.subject ?? undefined,
    metadata: JSON.parse(row.metadata) as UploadRecord['metadata'],
    stagingKey: row.staging_key,
    multipartId: row.multipart_id ?? undefined,
    partBytes: row.part_bytes === null ? undefined : Number(row.part_bytes),
    reservedBytes: Number(row.reserved_bytes),
    reason: row.reason_code === null ? undefined : { code: row.reason_code, detail: row.reason_detail ?? undefined },
    version: row.version ?? undefined,
    expiresAtMs: Number(row.expires_at_ms),
    createdAtMs: Number(row.created_at_ms),
    updatedAtMs: Number(row.updated_at_ms),
  }
}

export type UploadChange = {
  readonly byte_length?: number
  readonly content_type?: string
  readonly sha256?: string
  readonly version?: number
  readonly reason_code?: string | null
  readonly reason_detail?: string | null
}

export type Moved = { readonly upload: UploadRecord; readonly from: UploadState }

/**
 * Compare-and-set of the state, with its event. The first UPDATE takes the row and says which state it was in, so that nobody changes
 * it before the second.
 */
export async function moveUpload(
  tx: Tx,
  id: string,
  states: { readonly from: readonly UploadState[]; readonly to: UploadState; readonly atMs: number },
  change: UploadChange & { readonly fact?: UploadEvent['fact'] } = {},
): Promise<Moved | undefined> {
  const { fact = {}, ...columns } = change
  const before = await tx
    .updateTable('uploads')
    .set({ event_count: sql`event_count + 1` })
    .where('id', '=', id)
    .where('state', 'in', [...states.from])
    .returning(['state', 'event_count'])
    .executeTakeFirst()
  if (before === undefined) return undefined
  const row = await tx
    .updateTable('uploads')
    .set({ ...columns, state: states.to, updated_at_ms: states.atMs })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow()
  await insertEvent(tx, id, {
    number: before.event_count,
    event: { atMs: states.atMs, from: before.state, to: states.to, fact },
  })
  return { upload: toUpload(row), from: before.state }
}

export async function insertEvent(
  tx: Tx,
  uploadId: string,
  { number, event }: { readonly number: number; readonly event: UploadEvent },
): Promise<void> {
  await tx
    .insertInto('upload_events')
    .values({
      upload_id: uploadId,
      number,
      at_ms: event.atMs,
      from_state: event.from ?? null,
      to_state: event.to,
      fact: JSON.stringify(event.fact),
    })
    .execute()
}
