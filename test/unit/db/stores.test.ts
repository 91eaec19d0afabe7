import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterAll, expect, onTestFinished, test } from 'vitest'
import { openStores } from '../../../src/db/open-stores.ts'
import { finishNew, owner, uploadReady } from '../../helpers/store-records.ts'
import { describeStores } from '../../contract/stores.contract.ts'

const statements = new Map<string, readonly unknown[]>()
const folder = mkdtempSync(join(tmpdir(), 'halftone-stores-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let files = 0
const freshFile = () => join(folder, `${(files += 1)}.sqlite`)

describeStores('SQLite', async ({ now }) => {
  const file = freshFile()
  const onQuery = ({ sql, parameters }: { sql: string; parameters: readonly unknown[] }) =>
    void statements.set(sql, parameters)
  return { stores: await openStores({ file, now, onQuery }), openSecond: () => openStores({ file, now }) }
})

test('no statement of the suite above reads a whole table, but for the recount and pages of everything', async () => {
  expect(statements.size).toBeGreaterThan(50)
  const file = freshFile()
  await (await openStores({ file })).close()
  const db = new Database(file)
  onTestFinished(() => void db.close())
  const large =
    /SCAN (uploads|images|versions|objects|jobs|outbox|i|v|upload_events|shares)\b(?! USING (COVERING )?INDEX)/
  const scans = [...statements].flatMap(([sql, parameters]) => {
    if (!/^(select|update|delete|insert)/.test(sql) || sql.includes('is_stored')) return []
    const plan = db.prepare<unknown[], { detail: string }>(`explain query plan ${sql}`).all(...parameters)
    return plan.filter(({ detail }) => large.test(detail)).map(({ detail }) => `${detail}: ${sql}`)
  })
  expect(scans).toEqual([])
})

test('a database of a newer release is refused with its reason, and left as it is', async () => {
  const file = freshFile()
  await (await openStores({ file })).close()
  const db = new Database(file)
  db.prepare("insert into kysely_migration values ('0099-future', '2030-01-01')").run()
  db.close()
  await expect(openStores({ file })).rejects.toThrow(/newer Halftone .*0099-future/)
})

test('what was stored is there after opening again, and opening at once by two makes the tables once', async () => {
  const file = freshFile()
  const [one, two] = await Promise.all([openStores({ file }), openStores({ file })])
  await one.secrets.getOrCreate('name', 'value')
  await Promise.all([one.close(), two.close()])
  const again = await openStores({ file })
  onTestFinished(() => again.close())
  expect(await again.secrets.getOrCreate('name', 'fresh')).toBe('value')
})

test('a database from before images were counted has them counted by the migration, owner by owner', async () => {
  const file = freshFile()
  const before = await openStores({ file })
  for (const name of ['user-1', 'user-2']) await uploadReady(before, { owner: name })
  const gone = await uploadReady(before)
  await finishNew(before, { state: 'quarantined' })
  await before.images.remove(gone.image.id, [])
  await before.close()
  const db = new Database(file)
  // As it was then: without what the later migrations made.
  db.exec('alter table usages drop column images; drop table disabled_webhooks')
  db.exec("delete from kysely_migration where name >= '0003'")
  db.close()
  const after = await openStores({ file })
  onTestFinished(() => after.close())
  expect(await after.uploads.recount(false)).toEqual([])
  expect(await after.uploads.usage({ ...owner, owner: 'user-1' })).toMatchObject({ images: 2, objects: 1 })
  expect(await after.uploads.usage({ ...owner, owner: 'user-2' })).toMatchObject({ images: 1, objects: 1 })
})
