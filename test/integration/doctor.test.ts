import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { newId } from '../../src/lib/new-id.ts'
import type { Finding } from '../../src/uploads/doctor/checks.ts'
import { blobFile } from '../../src/uploads/targets/blob-key.ts'
import { runHalftone } from '../helpers/run-halftone.ts'
import { owner } from '../helpers/store-records.ts'
import { addBytes, addReady, addUpload, never, openStage, type Stage } from '../helpers/upload-stage.ts'

let stage: Stage
beforeEach(async () => {
  stage = await openStage()
})
afterEach(() => stage.close())

const foundBy = (findings: readonly Finding[]) =>
  Object.fromEntries(findings.filter(({ count }) => count > 0).map(({ name, count }) => [name, count]))

const found = async (change: Parameters<Stage['examine']>[0] = {}) => foundBy(await stage.examine(change))

function sql(statement: string, ...values: unknown[]): void {
  const db = new Database(stage.file)
  db.prepare(statement).run(...values)
  db.close()
}

const beginObject = () =>
  stage.stores.objects.begin({
    ...{ ...owner, key: `objects/${newId('obj')}`, byteLength: 5 },
    ...{ sha256: newId('x'), storedSha256: newId('x') },
  })

/** How each kind of ghost comes about, and what is there once it is mended. */
const ghosts: Record<string, { make: () => Promise<unknown>; mended: boolean; also?: Record<string, number> }> = {
  staging_without_upload: { make: () => addBytes(stage, `staging/${newId('upl')}`), mended: true },
  staging_of_ended_upload: {
    async make() {
      const { upload } = await addReady(stage)
      await addBytes(stage, upload.stagingKey)
    },
    mended: true,
  },
  upload_without_bytes: {
    async make() {
      const { id } = await addUpload(stage)
      await stage.stores.uploads.move(id, ['pending'], 'processing')
      await stage.deps.queue.add('process-upload', { uploadId: id }, { dedupeKey: id })
    },
    mended: true,
  },
  expired_pending: { make: () => addUpload(stage), mended: true },
  stranded: {
    async make() {
      const upload = await addUpload(stage)
      await addBytes(stage, upload.stagingKey)
      await stage.stores.uploads.move(upload.id, ['pending'], 'uploaded')
    },
    mended: true,
  },
  open_parts: {
    async make() {
      const upload = await addUpload(stage, { way: 'parts', expiresAtMs: stage.deps.now() + 1e10 })
      const start = () => stage.target.startParts({ key: upload.stagingKey, contentType: 'image/jpeg' }, never)
      // Asked for twice at once: the second is nobody's.
      await stage.stores.uploads.setMultipart(upload.id, await start())
      await start()
    },
    mended: true,
  },
  unfinished_object: {
    async make() {
      const { key } = await beginObject()
      await addBytes(stage, key)
    },
    mended: true,
  },
  object_without_version: {
    async make() {
      const { key } = await addReady(stage)
      sql("update versions set state = 'deleted' where object_key = ?", key)
      sql("update images set state = 'deleted', version = null")
      sql('update usages set images = 0')
    },
    mended: true,
  },
  object_without_row: { make: () => addBytes(stage, `objects/${newId('obj')}`), mended: true },
  object_without_bytes: {
    async make() {
      const { key } = await addReady(stage)
      sql("update versions set state = 'deleted' where object_key = ?", key)
      sql("update images set state = 'deleted', version = null")
      sql('update usages set images = 0')
      await stage.target.delete(key, never)
    },
    mended: true,
  },
  lost_version: {
    async make() {
      await stage.target.delete((await addReady(stage)).key, never)
    },
    mended: false,
  },
  size_differs: {
    async make() {
      await addBytes(stage, (await addReady(stage)).key, Buffer.from('cut'))
    },
    mended: false,
  },
  hollow_image: {
    async make() {
      const { image } = await addReady(stage)
      sql('update images set version = 7 where id = ?', image.id)
    },
    mended: true,
  },
  usage_differs: {
    async make() {
      await addReady(stage)
      sql('update usages set stored_bytes = stored_bytes + 1, images = images + 3')
    },
    mended: true,
  },
}

describe.each(Object.entries(ghosts))('%s', (name, { make, mended }) => {
  test(`is found once it is old enough, ${mended ? 'and mended' : 'and never mended silently'}`, async () => {
    await addReady(stage)
    await make()
    // Losses and sums are no matter of age.
    const isAgeless = ['lost_version', 'size_differs', 'hollow_image', 'usage_differs'].includes(name)
    if (!isAgeless && name !== 'object_without_bytes') expect(await found()).toEqual({})
    stage.grow()
    expect(await found()).toEqual({ [name]: 1 })
    // A dry run changes nothing.
    expect(await found()).toEqual({ [name]: 1 })
    const finding = (await stage.examine({ isFixing: true })).find((one) => one.name === name)
    expect(finding).toMatchObject({ count: 1, mended: mended ? 1 : 0 })
    expect(await found()).toEqual(mended ? {} : { [name]: 1 })
  })
})

test('bytes that an image shows are not deleted although their row is gone: they are told as lost', async () => {
  const { key } = await addReady(stage)
  sql('delete from objects where key = ?', key)
  stage.grow()
  const findings = await stage.examine({ isFixing: true, isForced: true })
  expect(foundBy(findings)).toMatchObject({ lost_version: 1 })
  expect(foundBy(findings)).not.toHaveProperty('object_without_row')
  expect(await stage.target.head(key, never)).toBeDefined()
})

test('other bytes of the same length are found with --deep only', async () => {
  const { key } = await addReady(stage, Buffer.from('those that were checked'))
  await addBytes(stage, key, Buffer.from('those that were swapped'))
  expect(await found()).toEqual({})
  expect(await found({ isDeep: true })).toEqual({ bytes_differ: 1 })
})

test('a database that knows nearly nothing of what is stored deletes nothing, unless it is forced to', async () => {
  await addReady(stage)
  const keys = await Promise.all(Array.from({ length: 30 }, () => addBytes(stage, `objects/${newId('obj')}`)))
  stage.grow()
  const held = await stage.examine({ isFixing: true })
  expect(foundBy(held)).toEqual({ object_without_row: 30, implausible: 1 })
  expect(await stage.target.head(keys[0] ?? '', never)).toBeDefined()
  await stage.examine({ isFixing: true, isForced: true })
  expect(await found()).toEqual({})
})

test('a lost confirm is made up for: the upload goes on, and holds its quota until it is settled', async () => {
  const upload = await addUpload(stage, { byteLength: 3, reservedBytes: 3 })
  await addBytes(stage, upload.stagingKey, Buffer.from([0xff, 0xd8, 0xff]))
  stage.grow()
  await stage.examine({ isFixing: true })
  expect(await stage.stores.uploads.find(upload.id)).toMatchObject({ state: 'uploaded', byteLength: 3 })
  expect(await stage.stores.jobs.stats()).toMatchObject({ waiting: 1 })
})

describe('beside a running server', () => {
  /** Something happens when the store has been listed, and is not looked at yet. */
  function afterListing(space: string, work: () => Promise<unknown>): void {
    const { target } = stage
    let isDone = false
    const list: typeof target.list = async (prefix, ...more) => {
      const page = await target.list(prefix, ...more)
      if (prefix === space && !isDone) {
        isDone = true
        await work()
      }
      return page
    }
    Object.assign(stage.deps, { target: { ...target, list } })
  }

  test('what is deleted meanwhile is no ghost', async () => {
    const { image, key } = await addReady(stage)
    await addReady(stage)
    stage.grow()
    afterListing('objects/', async () => {
      await stage.stores.images.remove(image.id, [])
      await stage.target.delete(key, never)
      await stage.stores.objects.forget(key)
    })
    expect(await found()).toEqual({})
  })

  test('what is stored meanwhile is not lost', async () => {
    await addReady(stage)
    stage.grow()
    afterListing('objects/', () => addReady(stage))
    expect(await found()).toEqual({})
  })

  test('what is staged and confirmed meanwhile is not bare', async () => {
    stage.grow()
    afterListing('staging/', async () => {
      const upload = await addUpload(stage)
      await addBytes(stage, upload.stagingKey)
      await stage.stores.uploads.move(upload.id, ['pending'], 'uploaded')
    })
    expect(await found({ isFixing: true })).toEqual({})
    expect(await stage.stores.uploads.usage(owner)).toMatchObject({ openUploads: 1 })
  })
})

test('what the rules of a bucket lack is told, and that they could not be read, too', async () => {
  const lacking = await stage.examine({
    checkCors: () => Promise.resolve(['No rule allows PUT from https://a.example.']),
  })
  expect(foundBy(lacking)).toEqual({ bucket_cors: 1 })
  const unread = await stage.examine({ checkCors: () => Promise.reject(new Error('AccessDenied')) })
  expect(unread.find(({ name }) => name === 'bucket_cors')?.examples).toEqual([
    'The rules cannot be read: Error: AccessDenied',
  ])
})

test('a store that loses what it is given is found out before anything is judged', async () => {
  const { target, deps } = stage
  const forgetful: Stage['target'] = { ...target, write: () => Promise.resolve() }
  Object.assign(deps, { target: forgetful })
  await expect(stage.examine()).rejects.toMatchObject({ code: 'target_failed' })
})

test('20,000 objects are compared in pages, and the three ghosts among them are found', async () => {
  const keys = Array.from({ length: 20_000 }, () => `objects/${newId('obj')}`).sort()
  const [bare, shrunk, ...rest] = [keys[4_000] ?? '', keys[12_345] ?? '', keys[19_999] ?? '']
  const db = new Database(stage.file)
  const insert = db.prepare("insert into objects values (?, 'shop', 'user-1', ?, ?, 5, 'stored', 1000, 1000)")
  db.transaction(() => {
    for (const key of keys) if (key !== rest[0]) insert.run(key, key, key)
    db.prepare("insert into usages values ('shop', 'user-1', 99995, 0, 19999, 0, 0)").run()
  })()
  db.close()
  for (const key of keys) {
    if (key === bare) continue
    const { file } = blobFile(stage.uploadsFolder, key)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, key === shrunk ? 'abc' : 'abcde')
  }
  let [pages, mostRows] = [0, 0]
  const { objects } = stage.stores
  const page: typeof objects.page = async (...asked) => {
    const rows = await objects.page(...asked)
    pages += 1
    mostRows = Math.max(mostRows, rows.length)
    return rows
  }
  // Every row is stored without an image, which is another matter.
  const abandoned: typeof objects.abandoned = () => Promise.resolve([])
  Object.assign(stage.deps, { stores: { ...stage.stores, objects: { ...objects, page, abandoned } } })
  stage.grow()
  expect(await found()).toEqual({ object_without_bytes: 1, size_differs: 1, object_without_row: 1 })
  expect(pages).toBeGreaterThan(20)
  expect(mostRows).toBeLessThanOrEqual(1000)
}, 90_000)

describe('the command', () => {
  const doctor = (...args: string[]) => run('doctor', ...args)
  const run = (...args: string[]) =>
    runHalftone(args, { HALFTONE_SOURCE: stage.folder, HALFTONE_DATA_DIR: stage.folder })

  test('exits with 0 when all is well, and with 1 when something is left', async () => {
    const { key } = await addReady(stage)
    const well = await doctor('--json', '--deep')
    expect([well.code, JSON.parse(well.stdout)]).toMatchObject([0, { ok: true, target: 'disk' }])
    await stage.target.delete(key, never)
    const ill = await doctor('--fix')
    expect(ill.code).toBe(1)
    expect(ill.stdout).toContain('LOSS lost_version: 1')
    expect(ill.stdout).toContain(key)
  })

  test('asks for the settings where everything is missing, and speaks of --fix only where that helps', async () => {
    const [one, other] = [await addReady(stage), await addReady(stage)]
    await stage.target.delete(one.key, never)
    const { stdout } = await doctor()
    expect(stdout).not.toMatch(/EVERY|--fix/)
    expect(stdout).toContain('needs a person')
    await stage.target.delete(other.key, never)
    const bare = await doctor()
    expect(bare.code).toBe(1)
    expect(bare.stdout).toMatch(
      /^EVERY object of .*halftone\.sqlite is missing in .*uploads,.*the right HALFTONE_DATA_DIR/,
    )
    expect(bare.stdout).not.toContain('--fix')
  }, 60_000)

  test('an audit of objects without bytes says that it saw nothing, and exits with 2', async () => {
    await stage.target.delete((await addReady(stage)).key, never)
    const { code, stdout } = await run('audit')
    expect([code, stdout]).toEqual([2, expect.stringContaining('1 of 1 objects could not be read')])
    expect((await run('audit', '--help')).stdout).toMatch(/Exits with 0 .* 1 .* 2 /)
  }, 60_000)

  test('exits with 2 when it cannot look', async () => {
    for (const end of ['', '-wal', '-shm']) rmSync(`${stage.file}${end}`, { force: true })
    const { code, stderr } = await doctor()
    expect([code, stderr]).toEqual([2, expect.stringContaining('There is no database')])
    writeFileSync(stage.file, 'this is a text, and a rather long one at that. '.repeat(50))
    expect(await doctor('--json')).toMatchObject({ code: 2, stdout: expect.stringContaining('"ok":false') as string })
  })
})
