import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { openStores } from '../../src/db/open-stores.ts'
import { newId } from '../../src/lib/new-id.ts'
import { describeJobQueue } from '../contract/job-queue.contract.ts'
import { describeStores } from '../contract/stores.contract.ts'
import { embeddedQueues } from '../helpers/embedded-queues.ts'
import { hasPostgres, noPostgres, startPostgres, type PostgresServer } from '../helpers/postgres-server.ts'
import { newUpload, owner, unbounded, uploadReady } from '../helpers/store-records.ts'

if (!hasPostgres) console.log(noPostgres)

let server: PostgresServer
beforeAll(async () => {
  if (hasPostgres) server = await startPostgres()
})
afterAll(() => server?.close())

const at = (name: string) => ({
  postgres: { url: server.url(name), connections: 5, statementTimeoutMs: 10_000 },
})

let name: string | undefined
async function emptyDatabase() {
  if (name === undefined) name = await server.createDatabase()
  else await server.empty(name)
  return at(name)
}

const circle = `
  create function one() returns trigger language plpgsql as
    $$ begin perform pg_sleep(0.3); update usages set objects = objects; return new; end $$;
  create trigger one before update on shares for each row execute function one();
  create function two() returns trigger language plpgsql as
    $$ begin perform pg_sleep(0.3); update shares set uses = uses where pg_trigger_depth() = 1; return new; end $$;
  create trigger two after update on images for each row execute function two()`

describe.skipIf(!hasPostgres)('on PostgreSQL', () => {
  describeStores(
    'PostgreSQL',
    async ({ now }) => {
      const database = await emptyDatabase()
      const open = () => openStores({ ...database, now })
      return { stores: await open(), openSecond: open }
    },
    1000,
  )

  describeJobQueue(
    'PostgreSQL',
    embeddedQueues(async () => openStores(await emptyDatabase())),
  )

  test('opening at once by several makes the tables once, and a newer release is refused', async () => {
    const fresh = at(await server.createDatabase())
    const opened = await Promise.all(Array.from({ length: 4 }, () => openStores(fresh)))
    await opened[0]?.secrets.getOrCreate('name', 'value')
    expect(await opened[3]?.secrets.getOrCreate('name', 'other')).toBe('value')
    await Promise.all(opened.map((stores) => stores.close()))
    const database = fresh.postgres.url.split('/').at(-1) ?? ''
    await server.sql(database, "insert into kysely_migration values ('0099-future', '2030-01-01')")
    await expect(openStores(fresh)).rejects.toThrow(/newer Halftone .*0099-future/)
  })

  test('every text compares byte by byte, and every change of what is served is announced', async () => {
    await (await openStores(await emptyDatabase())).close()
    const byLanguage = await server.sql(
      name ?? '',
      `select table_name, column_name from information_schema.columns where table_schema = 'public'
       and data_type = 'text' and collation_name is distinct from 'C'`,
    )
    // In a migration: sql.raw(dialect.text).
    expect(byLanguage).toEqual([])
    const announced = await server.sql(
      name ?? '',
      "select event_object_table || ' ' || event_manipulation as change from information_schema.triggers order by 1",
    )
    const served = ['images DELETE', 'images UPDATE', 'versions DELETE', 'versions INSERT', 'versions UPDATE']
    expect(announced).toEqual(served.map((change) => ({ change })))
  })

  test('transactions that stand in each other’s way are done again, and end as if they had come one by one', async () => {
    const stores = await openStores(await emptyDatabase())
    onTestFinished(() => stores.close())
    const { upload } = await uploadReady(stores)
    const id = newId('shr')
    const share = { imageId: upload.imageId, createdBy: 'key', expiresAtMs: 9e9, createdAtMs: 1 }
    await stores.shares.create({ ...share, id, params: undefined, maxUses: undefined })
    // Our own transactions take their rows in one order, so it takes others to make a circle of two.
    await server.sql(name ?? '', circle)
    onTestFinished(
      async () => void (await server.sql(name ?? '', 'drop function one() cascade; drop function two() cascade')),
    )
    const removing = stores.images.remove(upload.imageId, [])
    expect(await stores.shares.use(id, 1)).toBe(true)
    expect((await removing)?.objectKeys).toHaveLength(1)
    expect(await stores.shares.find(id)).toMatchObject({ uses: 1 })
    expect(await server.said()).toContain('deadlock detected')
  })

  test('connections are bounded, and whoever waits too long for a lock is told that there is too much to do', async () => {
    const { url } = (await emptyDatabase()).postgres
    const stores = await openStores({ postgres: { url, connections: 2, statementTimeoutMs: 1000 } })
    onTestFinished(() => stores.close())
    const create = () => stores.uploads.create(newUpload(), { quota: unbounded })
    await create()
    const holding = server.sql(name ?? '', 'begin; lock table usages; select pg_sleep(2.5); commit')
    const isHeld = `select 1 from pg_locks join pg_database on pg_database.oid = database
      where datname = '${name}' and locktype = 'relation' and mode = 'AccessExclusiveLock' and granted`
    await expect.poll(() => server.sql('postgres', isHeld), { timeout: 5000 }).toHaveLength(1)
    const refused = Promise.allSettled([create(), create(), create()])
    const ours = "select count(*)::int as count from pg_stat_activity where application_name = 'halftone'"
    await expect.poll(() => server.sql('postgres', ours), { interval: 20 }).toEqual([{ count: 2 }])
    expect(await server.sql('postgres', ours)).toEqual([{ count: 2 }])
    for (const { status, ...rest } of (await refused).slice(0, 2))
      expect([status, rest]).toMatchObject(['rejected', { reason: { code: 'overloaded', status: 503 } }])
    await holding
    expect(await create()).toMatchObject({ repeated: false })
  })

  test('what no column can hold is refused as a fault of who sent it', async () => {
    const stores = await openStores(await emptyDatabase())
    onTestFinished(() => stores.close())
    const create = stores.uploads.create(newUpload({ subject: 'a\0b' }), { quota: unbounded })
    await expect(create).rejects.toMatchObject({ code: 'bad_request' })
    await expect(stores.images.version('img', 1e12)).rejects.toMatchObject({ code: 'bad_request' })
    expect(await stores.uploads.usage(owner)).toMatchObject({ openUploads: 0 })
  })
})
