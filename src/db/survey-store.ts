import { sql } from 'kysely'
import { lockImage, settleImage, toImage, toVersion } from './image-rows.ts'
import type { StoreContext } from './schema.ts'
import type { SurveyStore } from './stores.ts'
import { openStates, toUpload } from './upload-rows.ts'
import { lockUsage } from './usage.ts'

const isLive = sql<boolean>`versions.state in ('ready', 'quarantined')`

const hasNoObject = sql<boolean>`not exists (select 1 from objects
  where objects.key = versions.object_key and objects.state = 'stored')`

const hasNoVersion = sql<boolean>`images.state = 'ready' and not exists (select 1 from versions
  where versions.image_id = images.id and versions.version = images.version and versions.state = 'ready')`

// A job is named after the upload that it is for.
const hasNoJob = sql<boolean>`not exists (select 1 from jobs where jobs.dedupe_key = uploads.id and jobs.state <> 'dead')`

export function createSurveyStore({ db, now }: StoreContext): SurveyStore {
  const lost = () => db.selectFrom('versions').where(isLive).where(hasNoObject)
  const hollow = () => db.selectFrom('images').where(hasNoVersion)
  return {
    async openUploads(afterKey, limit) {
      let query = db
        .selectFrom('uploads')
        .selectAll()
        .where('state', 'in', [...openStates, 'failed'])
      if (afterKey !== undefined) query = query.where('staging_key', '>', afterKey)
      return (await query.orderBy('staging_key').limit(limit).execute()).map(toUpload)
    },
    async uploadAt(stagingKey) {
      const row = await db.selectFrom('uploads').selectAll().where('staging_key', '=', stagingKey).executeTakeFirst()
      return row && toUpload(row)
    },
    async stranded(untouchedSinceMs, limit) {
      const rows = await db
        .selectFrom('uploads')
        .selectAll()
        .where('state', 'in', ['uploaded', 'processing'])
        .where('updated_at_ms', '<=', untouchedSinceMs)
        .where(hasNoJob)
        .orderBy('updated_at_ms')
        .limit(limit)
        .execute()
      return rows.map(toUpload)
    },
    async versionsAt(objectKey) {
      const rows = await db
        .selectFrom('versions')
        .selectAll()
        .where('object_key', '=', objectKey)
        .where(isLive)
        .execute()
      return rows.map(toVersion)
    },
    async lostVersions(limit) {
      const { count } = await lost()
        .select(({ fn }) => fn.countAll().as('count'))
        .executeTakeFirstOrThrow()
      const rows = await lost().selectAll().limit(limit).execute()
      return { count: Number(count), examples: rows.map(toVersion) }
    },
    async hollowImages(limit) {
      const { count } = await hollow()
        .select(({ fn }) => fn.countAll().as('count'))
        .executeTakeFirstOrThrow()
      const rows = await hollow().selectAll().limit(limit).execute()
      return { count: Number(count), examples: rows.map(toImage) }
    },
    async settleImage(id) {
      await db.transaction().execute(async (tx) => {
        const owner = await tx.selectFrom('images').select(['project', 'owner']).where('id', '=', id).executeTakeFirst()
        if (owner === undefined) return
        await lockUsage(tx, owner)
        if (await lockImage(tx, id)) await settleImage(tx, id, { atMs: now(), otherwise: 'deleted' })
      })
    },
  }
}
