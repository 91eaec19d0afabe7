import { sql, type Selectable } from 'kysely'
import { AppError } from '../errors.ts'
import type { ImageState, Owner, Usage } from './records.ts'
import type { Connection, Tx, UsagesTable } from './schema.ts'
import type { QuotaLimits } from './stores.ts'
import { openStates } from './upload-rows.ts'

/** States in which an image counts; one in state `pending` counts as the upload that it waits for. */
export const countedStates: readonly ImageState[] = ['ready', 'quarantined']

const nothing: Usage = { storedBytes: 0, reservedBytes: 0, objects: 0, images: 0, openUploads: 0 }

export async function findUsage(db: Connection, { project, owner }: Owner): Promise<Usage> {
  const row = await db
    .selectFrom('usages')
    .selectAll()
    .where('project', '=', project)
    .where('owner', '=', owner)
    .executeTakeFirst()
  return row === undefined ? nothing : toUsage(row)
}

/**
 * Holds back the bytes and the place of one upload. One conditional UPDATE: a second one of the same owner waits for the row and then
 * sees the sums of the first, so the bounds hold however many come at once. Throws `quota_exceeded`.
 */
export async function reserveUsage(
  tx: Tx,
  { project, owner }: Owner,
  bytes: number,
  quota: QuotaLimits,
): Promise<void> {
  await insertUsage(tx, { project, owner })
  let update = tx
    .updateTable('usages')
    .set({ reserved_bytes: sql`reserved_bytes + ${bytes}`, open_uploads: sql`open_uploads + 1` })
    .where('project', '=', project)
    .where('owner', '=', owner)
  if (quota.bytes !== undefined) {
    update = update.where(sql<boolean>`stored_bytes + reserved_bytes + ${bytes} <= ${quota.bytes}`)
  }
  // An open upload is an image to be.
  if (quota.objects !== undefined) update = update.where(sql<boolean>`images + open_uploads + 1 <= ${quota.objects}`)
  if (quota.openUploads !== undefined) update = update.where(sql<boolean>`open_uploads + 1 <= ${quota.openUploads}`)
  if ((await update.returning('owner').executeTakeFirst()) !== undefined) return
  throw quotaExceeded(await findUsage(tx, { project, owner }), bytes, quota)
}

/** Adds to the sums (negative numbers take away); also what makes the other transactions of this owner wait. */
export async function changeUsage(tx: Tx, { project, owner }: Owner, change: Partial<Usage>): Promise<void> {
  await tx
    .updateTable('usages')
    .set({
      stored_bytes: sql`stored_bytes + ${change.storedBytes ?? 0}`,
      reserved_bytes: sql`reserved_bytes + ${change.reservedBytes ?? 0}`,
      objects: sql`objects + ${change.objects ?? 0}`,
      images: sql`images + ${change.images ?? 0}`,
      open_uploads: sql`open_uploads + ${change.openUploads ?? 0}`,
    })
    .where('project', '=', project)
    .where('owner', '=', owner)
    .execute()
}

/** Makes every other transaction that changes what this owner holds wait for the end of this one. */
export async function lockUsage(tx: Tx, owner: Owner): Promise<void> {
  await insertUsage(tx, owner)
  await changeUsage(tx, owner, {})
}

/** Counts every owner afresh from the rows in one statement, so that writes meanwhile do not look like differences. */
export async function recountUsage(
  db: Connection,
  fix: boolean,
): Promise<readonly { readonly owner: Owner; readonly was: Usage; readonly is: Usage }[]> {
  const wrong = await countUsage(db)
  if (fix) for (const { owner } of wrong) await db.transaction().execute((tx) => setUsage(tx, owner))
  return wrong
}

async function setUsage(tx: Tx, owner: Owner): Promise<void> {
  await lockUsage(tx, owner)
  const [wrong] = await countUsage(tx, owner)
  if (wrong === undefined) return
  await changeUsage(tx, owner, {
    storedBytes: wrong.is.storedBytes - wrong.was.storedBytes,
    reservedBytes: wrong.is.reservedBytes - wrong.was.reservedBytes,
    objects: wrong.is.objects - wrong.was.objects,
    images: wrong.is.images - wrong.was.images,
    openUploads: wrong.is.openUploads - wrong.was.openUploads,
  })
}

/** The owners whose sums are wrong; of one owner or of all. */
async function countUsage(
  db: Connection,
  only?: Owner,
): Promise<{ readonly owner: Owner; readonly was: Usage; readonly is: Usage }[]> {
  const isTheirs = only ? sql`project = ${only.project} and owner = ${only.owner}` : sql`1 = 1`
  const { rows } = await sql<CountRow>`
    select project, owner,
      sum(was_stored) as was_stored, sum(was_reserved) as was_reserved, sum(was_objects) as was_objects,
      sum(was_images) as was_images, sum(was_open) as was_open,
      sum(is_stored) as is_stored, sum(is_reserved) as is_reserved, sum(is_objects) as is_objects,
      sum(is_images) as is_images, sum(is_open) as is_open
    from (
      select project, owner, stored_bytes as was_stored, reserved_bytes as was_reserved, objects as was_objects,
        images as was_images, open_uploads as was_open,
        0 as is_stored, 0 as is_reserved, 0 as is_objects, 0 as is_images, 0 as is_open
      from usages where ${isTheirs}
      union all
      select project, owner, 0, 0, 0, 0, 0, byte_length, 0, 1, 0, 0 from objects where state = 'stored' and ${isTheirs}
      union all
      select project, owner, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0 from images
      where state in (${sql.join(countedStates)}) and ${isTheirs}
      union all
      select project, owner, 0, 0, 0, 0, 0, 0, reserved_bytes, 0, 0, 1 from uploads
      where state in (${sql.join(openStates)}) and ${isTheirs}
    ) as counted
    group by project, owner
    having sum(was_stored) <> sum(is_stored) or sum(was_reserved) <> sum(is_reserved)
      or sum(was_objects) <> sum(is_objects) or sum(was_images) <> sum(is_images) or sum(was_open) <> sum(is_open)
    order by project, owner`.execute(db)
  return rows.map((row) => ({
    owner: { project: row.project, owner: row.owner },
    was: toUsage({
      ...{ stored_bytes: row.was_stored, reserved_bytes: row.was_reserved, objects: row.was_objects },
      ...{ images: row.was_images, open_uploads: row.was_open },
    }),
    is: toUsage({
      ...{ stored_bytes: row.is_stored, reserved_bytes: row.is_reserved, objects: row.is_objects },
      ...{ images: row.is_images, open_uploads: row.is_open },
    }),
  }))
}

type CountRow = { project: string; owner: string } & Record<
  `${'was' | 'is'}_${'stored' | 'reserved' | 'objects' | 'images' | 'open'}`,
  number
>

async function insertUsage(tx: Tx, { project, owner }: Owner): Promise<void> {
  await tx
    .insertInto('usages')
    .values({ project, owner, stored_bytes: 0, reserved_bytes: 0, objects: 0, images: 0, open_uploads: 0 })
    .onConflict((conflict) => conflict.columns(['project', 'owner']).doNothing())
    .execute()
}

function toUsage(row: Omit<Selectable<UsagesTable>, 'project' | 'owner'>): Usage {
  return {
    storedBytes: row.stored_bytes,
    reservedBytes: row.reserved_bytes,
    objects: row.objects,
    images: row.images,
    openUploads: row.open_uploads,
  }
}

function quotaExceeded(usage: Usage, bytes: number, quota: QuotaLimits): AppError {
  const { storedBytes, reservedBytes, images, openUploads } = usage
  const held = storedBytes + reservedBytes
  const detail =
    quota.openUploads !== undefined && openUploads + 1 > quota.openUploads
      ? `At most ${quota.openUploads} uploads may be open at once, and ${openUploads} are.`
      : quota.objects !== undefined && images + openUploads + 1 > quota.objects
        ? `At most ${quota.objects} images may be stored, and ${images} are, with ${openUploads} more on their way.`
        : `At most ${quota.bytes ?? 0} bytes may be stored; ${held} are stored or held back, and ${bytes} more are asked for.`
  return new AppError('quota_exceeded', { detail })
}
