import { sql } from 'kysely'
import type { Owner } from './records.ts'
import type { Tx } from './schema.ts'
import { changeUsage } from './usage.ts'

/** Nothing that may still be served has these bytes. */
export const unreferenced = sql<boolean>`not exists (select 1 from versions
  where versions.object_key = objects.key and versions.state in ('ready', 'quarantined'))`

/**
 * Objects that no version which may still be served refers to become `deleting`, and no longer count. The caller holds the owner's
 * usage row, so that no upload takes one of them up meanwhile.
 */
export async function releaseObjects(
  tx: Tx,
  owner: Owner,
  keys: readonly string[],
  atMs: number,
): Promise<readonly string[]> {
  if (keys.length === 0) return []
  const released = await tx
    .updateTable('objects')
    .set({ state: 'deleting', updated_at_ms: atMs })
    .where('key', 'in', [...new Set(keys)])
    .where('state', '=', 'stored')
    .where(unreferenced)
    .returning(['key', 'byte_length'])
    .execute()
  const bytes = released.reduce((sum, object) => sum + object.byte_length, 0)
  await changeUsage(tx, owner, { storedBytes: -bytes, objects: -released.length })
  return released.map(({ key }) => key)
}
