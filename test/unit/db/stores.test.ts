import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { Kysely } from 'kysely'
import { Migrator, type Migration } from 'kysely/migration'
import { afterAll, expect, onTestFinished, test } from 'vitest'
import { migrationsFor } from '../../../src/db/migrations/migrations.ts'
import { openDatabase } from '../../../src/db/open-database.ts'
import { openStores } from '../../../src/db/open-stores.ts'
import { createSqliteDialect, sqliteTables } from '../../../src/db/sqlite-dialect.ts'
import { owner } from '../../helpers/store-records.ts'
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
  await migrateTo(file, '0002-part-size')
  const db = new Database(file)
  const addImage = db.prepare(
    `insert into images (id, project, owner, state, visibility, filename, metadata, last_version, epoch, created_at_ms, updated_at_ms)
     values (?, 'shop', ?, ?, 'private', 'a.jpg', '{}', 1, 0, 1, 1)`,
  )
  const images = { 'user-1': ['ready', 'quarantined', 'deleted', 'rejected'], 'user-2': ['ready'], 'user-3': [] }
  for (const [name, states] of Object.entries(images)) {
    db.prepare("insert into usages values ('shop', ?, 0, 0, 0, 0)").run(name)
    for (const [at, state] of states.entries()) addImage.run(`${name}-${at}`, name, state)
  }
  db.close()
  const after = await openStores({ file })
  onTestFinished(() => after.close())
  expect(await after.uploads.recount(false)).toEqual([])
  const counted = Object.keys(images).map(async (name) => (await after.uploads.usage({ ...owner, owner: name })).images)
  expect(await Promise.all(counted)).toEqual([2, 1, 0])
})

/** A file as the release with that migration left it. */
async function migrateTo(file: string, name: string): Promise<void> {
  const db = new Kysely<unknown>({ dialect: createSqliteDialect(openDatabase(file), () => undefined) })
  const getMigrations = () => Promise.resolve<Record<string, Migration>>({ ...migrationsFor(sqliteTables) })
  const { error } = await new Migrator({ db, provider: { getMigrations } }).migrateTo(name)
  await db.destroy()
  expect(error).toBeUndefined()
}
