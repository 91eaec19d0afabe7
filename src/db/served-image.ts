import { sql, type CompiledQuery } from 'kysely'
import { toImage, toVersion } from './image-rows.ts'
import type { Connection, ImageRow, VersionRow } from './schema.ts'
import type { ServedImage } from './stores.ts'

type ServedRow = Omit<ImageRow, 'last_version'> & { [K in keyof VersionRow as `v_${K}`]: VersionRow[K] }

/** What may be served, for every hit: one join, built and compiled once, as building it takes longer than running it. */
export function createServedImageQuery(
  db: Connection,
): (id: string, version: number | undefined) => Promise<ServedImage | undefined> {
  const newest = servedImages(db).where('i.id', '=', '').whereRef('v.version', '=', 'i.version').compile()
  const exact = servedImages(db).where('i.id', '=', '').where('v.version', '=', 0).compile()
  // The states are literals: these are all the parameters there are.
  const withValues = (query: CompiledQuery<unknown>, parameters: readonly unknown[]): CompiledQuery<ServedRow> => ({
    ...query,
    parameters,
  })
  return async (id, version) => {
    const query = version === undefined ? withValues(newest, [id]) : withValues(exact, [id, version])
    const [row] = (await db.executeQuery(query)).rows
    return row && { image: toImage(row), version: toVersion(versionPart(row)) }
  }
}

function servedImages(db: Connection) {
  return db
    .selectFrom('images as i')
    .innerJoin('versions as v', 'v.image_id', 'i.id')
    .select(['i.id', 'i.project', 'i.owner', 'i.state', 'i.visibility', 'i.kind', 'i.subject', 'i.filename'])
    .select(['i.metadata', 'i.version', 'i.epoch', 'i.created_at_ms', 'i.updated_at_ms'])
    .select(['v.image_id as v_image_id', 'v.version as v_version', 'v.upload_id as v_upload_id'])
    .select(['v.state as v_state', 'v.object_key as v_object_key', 'v.byte_length as v_byte_length'])
    .select(['v.sha256 as v_sha256', 'v.facts as v_facts', 'v.created_at_ms as v_created_at_ms'])
    .where('i.state', '=', sql.lit('ready'))
    .where('v.state', '=', sql.lit('ready'))
}

function versionPart(row: ServedRow): VersionRow {
  return {
    image_id: row.v_image_id,
    version: row.v_version,
    upload_id: row.v_upload_id,
    state: row.v_state,
    object_key: row.v_object_key,
    byte_length: row.v_byte_length,
    sha256: row.v_sha256,
    facts: row.v_facts,
    created_at_ms: row.v_created_at_ms,
  }
}
