import { sql } from 'kysely'
import { AppError } from '../errors.ts'
import { toImage } from './image-rows.ts'
import type { ImageRecord } from './records.ts'
import type { Connection } from './schema.ts'
import type { ImageStore } from './stores.ts'

/** A page by position, not by offset: pages neither shift nor get slower while images come in. */
export async function listImages(
  db: Connection,
  asked: Parameters<ImageStore['list']>[0],
): ReturnType<ImageStore['list']> {
  const { project, owner, states, kind, subject, cursor, limit } = asked
  let query = db
    .selectFrom('images')
    .selectAll()
    .where('project', '=', project)
    .where('state', 'in', [...states])
  if (owner !== undefined) query = query.where('owner', '=', owner)
  if (kind !== undefined) query = query.where('kind', '=', kind)
  if (subject !== undefined) query = query.where('subject', '=', subject)
  if (cursor !== undefined) {
    const { createdAtMs, id } = readCursor(cursor)
    query = query.where(sql<boolean>`(created_at_ms, id) < (${createdAtMs}, ${id})`)
  }
  if (states.length === 0) return { images: [], cursor: undefined }
  const rows = await query
    .orderBy('created_at_ms', 'desc')
    .orderBy('id', 'desc')
    .limit(limit + 1)
    .execute()
  const images = rows.slice(0, limit).map(toImage)
  const last = images.at(-1)
  return { images, cursor: rows.length > limit && last ? writeCursor(last) : undefined }
}

function writeCursor({ createdAtMs, id }: ImageRecord): string {
  return Buffer.from(`${createdAtMs} ${id}`).toString('base64url')
}

function readCursor(cursor: string): { readonly createdAtMs: number; readonly id: string } {
  const [, createdAtMs, id] = /^(\d{1,15}) (\S{1,100})$/.exec(Buffer.from(cursor, 'base64url').toString('latin1')) ?? []
  if (createdAtMs === undefined || id === undefined) {
    throw new AppError('bad_request', {
      detail: '"cursor": expected the cursor of the page before, got something else.',
    })
  }
  return { createdAtMs: Number(createdAtMs), id }
}
