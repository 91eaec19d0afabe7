import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { Kysely, sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openDatabase, type SqliteDatabase } from '../../../src/db/open-database.ts'
import { createSqliteDialect } from '../../../src/db/sqlite-dialect.ts'

type Tables = { parents: { id: number }; children: { parent: number } }

let folder: string
let other: SqliteDatabase
let db: Kysely<Tables>
let ran: string[]

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'halftone-groups-'))
  const file = join(folder, 'test.sqlite')
  const database = openDatabase(file, { busyTimeoutMs: 5, isDurable: true })
  other = new Database(file, { timeout: 5 })
  ran = []
  db = new Kysely<Tables>({ dialect: createSqliteDialect(told(database), () => {}, { lockWaitMs: 1500 }) })
  await sql`create table parents (id integer primary key) strict`.execute(db)
  // Deferred: what makes a COMMIT fail.
  await sql`create table children (parent integer references parents (id) deferrable initially deferred) strict`.execute(
    db,
  )
  ran.length = 0
})
afterEach(async () => {
  await db.destroy()
  other.close()
  rmSync(folder, { recursive: true, force: true })
})

/** The same database; what is run is written down. */
function told(database: SqliteDatabase): SqliteDatabase {
  return new Proxy(database, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target)
      if (key !== 'prepare') return typeof value === 'function' ? (value.bind(target) as unknown) : value
      return (text: string) => {
        const statement = target.prepare(text)
        return new Proxy(statement, {
          get(found, name) {
            const member: unknown = Reflect.get(found, name, found)
            if (typeof member !== 'function') return member
            return (...given: unknown[]) => {
              ran.push(text)
              return (member as (...all: unknown[]) => unknown).apply(found, given)
            }
          },
        })
      }
    },
  })
}

const insert = (id: number) =>
  db.transaction().execute(async (tx) => {
    await tx.insertInto('parents').values({ id }).execute()
    return (await tx.selectFrom('parents').select('id').where('id', '=', id).execute()).length
  })
const orphan = () => db.transaction().execute((tx) => tx.insertInto('children').values({ parent: 99 }).execute())
const commits = () => ran.filter((text) => text === 'commit').length
const known = () => (other.prepare('select id from parents order by id').pluck().all() as number[]).join()

describe('transactions that come at once', () => {
  test('share one commit, and each is there when it is told', async () => {
    const all = [1, 2, 3, 4, 5, 6, 7, 8].map(async (id) => {
      await insert(id)
      expect(known().split(',')).toContain(String(id))
    })
    await Promise.all(all)
    expect(known()).toBe('1,2,3,4,5,6,7,8')
    expect(commits()).toBe(1)
  })

  test('single writes are among them', async () => {
    await Promise.all([insert(1), db.insertInto('parents').values({ id: 2 }).execute(), insert(3)])
    expect(known()).toBe('1,2,3')
    expect(commits()).toBe(1)
  })

  test('one that fails takes none with it, and leaves nothing', async () => {
    const failing = db.transaction().execute(async (tx) => {
      await tx.insertInto('parents').values({ id: 7 }).execute()
      throw new Error('no quota')
    })
    const twice = insert(1)
    const results = await Promise.allSettled([insert(1), failing, twice, insert(2)])
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled', 'fulfilled'])
    expect(known()).toBe('1,2')
  })

  test('none is told when the disk does not take them: neither who wrote nor who read', async () => {
    const read = () => db.selectFrom('parents').select('id').execute()
    const before = read()
    let during: Promise<unknown> | undefined
    const writing = db.transaction().execute(async (tx) => {
      await tx.insertInto('parents').values({ id: 1 }).execute()
      during = read()
      during.catch(() => undefined)
    })
    const results = await Promise.allSettled([writing, orphan(), insert(2)])
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    await expect(during).rejects.toThrow('FOREIGN KEY')
    expect(await before).toEqual([])
    expect(known()).toBe('')
    await insert(3)
    expect(known()).toBe('3')
  })

  test('one that takes its time keeps the others waiting, not out', async () => {
    const slow = db.transaction().execute(async (tx) => {
      await tx.insertInto('parents').values({ id: 1 }).execute()
      await new Promise((resolve) => setTimeout(resolve, 50))
      await tx.insertInto('parents').values({ id: 2 }).execute()
    })
    await new Promise((resolve) => setTimeout(resolve, 10))
    expect(known()).toBe('')
    expect((await db.selectFrom('parents').select('id').execute()).length).toBe(2)
    await slow
    expect(known()).toBe('1,2')
  })
})

test('what another process writes is waited for, and this one goes on meanwhile', async () => {
  other.exec('begin immediate')
  let turns = 0
  const ticking = setInterval(() => (turns += 1), 5)
  const both = Promise.all([insert(1), insert(2)])
  await new Promise((resolve) => setTimeout(resolve, 100))
  clearInterval(ticking)
  expect(turns).toBeGreaterThan(3)
  other.exec('insert into parents values (5); commit')
  await both
  expect(known()).toBe('1,2,5')
})

test('who only reads does not wait for another process, and a write gives up in time, all at once', async () => {
  await insert(1)
  other.exec('begin immediate')
  const startedMs = performance.now()
  const writes = [insert(2), insert(3), db.insertInto('parents').values({ id: 4 }).execute()].map((write) =>
    write.catch((error: unknown) => error),
  )
  await new Promise((resolve) => setTimeout(resolve, 50))
  const readMs = performance.now()
  expect(await db.selectFrom('parents').select('id').execute()).toEqual([{ id: 1 }])
  expect(performance.now() - readMs).toBeLessThan(500)
  for (const error of await Promise.all(writes)) expect(error).toMatchObject({ code: 'overloaded', status: 503 })
  expect(performance.now() - startedMs).toBeLessThan(3000)
  other.exec('rollback')
  await insert(5)
  expect(known()).toBe('1,5')
})

test('what is read after a write of its own is there, whatever waits for a lock', async () => {
  await insert(1)
  other.exec('begin immediate')
  const waiting = insert(2)
  await new Promise((resolve) => setTimeout(resolve, 20))
  other.exec('rollback')
  await waiting
  expect((await db.selectFrom('parents').select('id').execute()).length).toBe(2)
})

test('a COMMIT and a ROLLBACK that both fail hold up nobody, and leave nothing', async () => {
  const broken = new Set<string>()
  const file = openDatabase(join(folder, 'test.sqlite'), { busyTimeoutMs: 5 })
  const failing = new Proxy(file, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target)
      if (key !== 'prepare') return typeof value === 'function' ? (value.bind(target) as unknown) : value
      return (text: string) => {
        const statement = target.prepare(text)
        const run = statement.run.bind(statement)
        statement.run = (...given: unknown[]) => {
          if (broken.has(text)) throw new Error(`no ${text}`)
          return run(...given)
        }
        return statement
      }
    },
  })
  const own = new Kysely<Tables>({ dialect: createSqliteDialect(failing, () => {}) })
  const add = (id: number) => own.insertInto('parents').values({ id }).execute()
  broken.add('commit').add('rollback')
  const results = await Promise.allSettled([add(1), add(2)])
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  await expect(own.selectFrom('parents').select('id').execute()).rejects.toThrow('no rollback')
  broken.clear()
  expect(await own.selectFrom('parents').select('id').execute()).toEqual([])
  await add(3)
  expect(known()).toBe('3')
  await own.destroy()
})

test('closing waits for what is under way', async () => {
  const inserted = insert(1)
  await new Promise((resolve) => process.nextTick(resolve))
  await db.destroy()
  await inserted
  expect(known()).toBe('1')
})
