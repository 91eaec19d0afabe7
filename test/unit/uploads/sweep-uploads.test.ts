import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { newId } from '../../../src/lib/new-id.ts'
import { endUpload } from '../../../src/uploads/end-upload.ts'
import { processUpload } from '../../../src/uploads/process-upload.ts'
import { sweepUploads, type SweepPlaces } from '../../../src/uploads/sweep-uploads.ts'
import { facts, owner, unbounded } from '../../helpers/store-records.ts'
import { addBytes, addReady, addUpload, never, openStage, type Stage } from '../../helpers/upload-stage.ts'

const jpegStart = Buffer.from([0xff, 0xd8, 0xff, 0xe0])

let stage: Stage
beforeEach(async () => {
  stage = await openStage({ HALFTONE_UPLOAD_GRACE_SECONDS: '3600', HALFTONE_UPLOAD_ATTEMPTS: '2' })
})
afterEach(() => stage.close())

const sweep = (places?: SweepPlaces) => sweepUploads(stage.deps, never, places)
const stateOf = async (id: string) => (await stage.stores.uploads.find(id))?.state

const job = { id: 'job', kind: 'process-upload', attempt: 1 }

async function addConfirmed({ hasBytes = true } = {}) {
  const upload = await addUpload(stage)
  if (hasBytes) await addBytes(stage, upload.stagingKey)
  await stage.stores.uploads.move(upload.id, ['pending'], 'uploaded')
  return upload
}

describe('pending uploads', () => {
  test('are left alone while their permission lasts, and, without bytes, as long again', async () => {
    const { id } = await addUpload(stage)
    await sweep()
    stage.forward(stage.config.permissionSeconds * 1500)
    await sweep()
    expect(await stateOf(id)).toBe('pending')
  })

  test('end without bytes, and give back what they held', async () => {
    const { id } = await addUpload(stage)
    expect(await stage.stores.uploads.usage(owner)).toMatchObject({ openUploads: 1, reservedBytes: 100 })
    stage.forward(stage.config.permissionSeconds * 2000 + 1)
    expect(await sweep()).toEqual({ expired: 1 })
    expect(await stateOf(id)).toBe('expired')
    expect(await stage.stores.uploads.usage(owner)).toMatchObject({ openUploads: 0, reservedBytes: 0 })
    expect(stage.counted).toContain('sweep_expired')
  })

  test('with bytes are confirmed, although nobody did', async () => {
    const upload = await addUpload(stage, { byteLength: jpegStart.length })
    await addBytes(stage, upload.stagingKey, jpegStart)
    stage.forward(stage.config.permissionSeconds * 1000 + 1)
    expect(await sweep()).toMatchObject({ confirmed: 1 })
    expect(await stateOf(upload.id)).toBe('uploaded')
    expect(await stage.stores.jobs.stats()).toMatchObject({ waiting: 1 })
  })

  test('with wrong bytes are rejected, and the bytes go', async () => {
    const upload = await addUpload(stage, { byteLength: 5 })
    await addBytes(stage, upload.stagingKey, Buffer.from('plain'))
    stage.forward(stage.config.permissionSeconds * 1000 + 1)
    expect(await sweep()).toMatchObject({ rejected: 1 })
    expect(await stage.target.head(upload.stagingKey, never)).toBeUndefined()
  })

  test('that are merely waited for do not keep later ones from being seen', async () => {
    for (let count = 0; count < 201; count++) await addUpload(stage, { expiresAtMs: stage.deps.now() })
    const late = await addUpload(stage, { byteLength: jpegStart.length, expiresAtMs: stage.deps.now() })
    await addBytes(stage, late.stagingKey, jpegStart)
    stage.forward(1000)
    const places: SweepPlaces = { ghosts: {} }
    await sweep(places)
    await sweep(places)
    expect(await stateOf(late.id)).toBe('uploaded')
  })
})

describe('confirmed uploads', () => {
  test('without a job get one, once', async () => {
    await addConfirmed()
    stage.forward(60_000)
    expect(await sweep()).toMatchObject({ requeued: 1 })
    expect(await sweep()).not.toHaveProperty('requeued')
    expect(await stage.stores.jobs.stats()).toEqual({ waiting: 1, running: 0, dead: 0 })
  })

  test('that were tried often enough fail with a reason', async () => {
    const { id } = await addConfirmed()
    for (let tries = 0; tries < 4; tries++)
      await stage.stores.uploads.move(id, ['uploaded', 'processing'], 'processing')
    stage.forward(60_000)
    expect(await sweep()).toMatchObject({ given_up: 1 })
    expect(await stage.stores.uploads.find(id)).toMatchObject({
      state: 'failed',
      reason: { code: 'processing_failed' },
    })
  })

  test('outlive a stop in what would have been the last try', async () => {
    const { id } = await addConfirmed()
    const stopping = AbortSignal.abort(new Error('the server is shutting down'))
    const ending = processUpload({ ...job, payload: { uploadId: id }, isLast: () => true }, stage.deps, stopping)
    await expect(ending).rejects.toThrow('shutting down')
    expect(await stateOf(id)).toBe('processing')
  })

  test('whose bytes are gone fail at the first try, with a reason', async () => {
    const { id } = await addConfirmed({ hasBytes: false })
    await processUpload({ ...job, payload: { uploadId: id }, isLast: () => false }, stage.deps, never)
    expect(await stage.stores.uploads.find(id)).toMatchObject({
      state: 'failed',
      reason: { code: 'processing_failed', detail: 'The uploaded bytes are gone.' },
    })
    expect(await stage.stores.uploads.usage(owner)).toMatchObject({ openUploads: 0 })
  })

  test('that failed keep their bytes, whatever the sweeper and the doctor do, until somebody deletes them', async () => {
    const upload = await addConfirmed()
    await stage.stores.uploads.end(upload.id, ['uploaded'], 'failed', {})
    stage.grow()
    expect(await sweep()).toEqual({})
    const found = (await stage.examine({ isFixing: true, isForced: true })).filter(({ count }) => count > 0)
    expect(found).toMatchObject([{ name: 'failed_uploads', count: 1, mended: 0 }])
    expect(await stage.target.head(upload.stagingKey, never)).toBeDefined()
    await endUpload(upload, ['failed'], 'deleted', undefined, stage.deps)
    expect(await stage.target.head(upload.stagingKey, never)).toBeUndefined()
  })
})

describe('ghosts', () => {
  const makeAll = async () => {
    const { upload } = await addReady(stage)
    await addBytes(stage, upload.stagingKey)
    for (let count = 0; count < 3; count++) await addReady(stage)
    const orphan = await addBytes(stage, `objects/${newId('obj')}`)
    await stage.target.startParts({ key: `staging/${newId('upl')}`, contentType: 'image/jpeg' }, never)
    const bytes = { sha256: 'x', storedSha256: 'x', byteLength: 5 }
    const unfinished = await stage.stores.objects.begin({ ...owner, key: `objects/${newId('obj')}`, ...bytes })
    await addBytes(stage, unfinished.key)
    return { ended: upload.stagingKey, orphan, unfinished: unfinished.key }
  }

  test('are left alone while they are young, and go when they are not', async () => {
    const made = await makeAll()
    const { orphan } = made
    const keys = Object.values(made)
    expect(await sweep()).toEqual({})
    stage.grow()
    expect(await sweep()).toEqual({
      ...{ staging_of_ended_upload: 1, open_parts: 1, object_deleted: 1 },
    })
    // What was served and is unknown may be of a newer database than this one: only people delete it.
    const left = await Promise.all(keys.map((key) => stage.target.head(key, never)))
    expect(left.filter((found) => found !== undefined).map(({ key }) => key)).toEqual([orphan])
    const findings = await stage.examine({ isDeep: true })
    expect(findings.filter(({ count }) => count > 0).map(({ name }) => name)).toEqual(['object_without_row'])
  })

  test('that outnumber what is known stay: it may be the wrong database', async () => {
    await addReady(stage)
    const keys = await Promise.all([1, 2].map(() => addBytes(stage, `objects/${newId('obj')}`)))
    stage.grow()
    expect(await sweep()).toEqual({ unknown_left: 1 })
    expect(await stage.target.head(keys[0] ?? '', never)).toBeDefined()
    expect(stage.logged.map(({ event }) => event)).toContain('unknown_bytes_left')
  })

  test('a lost picture is told, and nothing is made of it', async () => {
    const { key, image } = await addReady(stage)
    await stage.target.delete(key, never)
    stage.grow()
    expect(await sweep()).toEqual({ lost_version: 1 })
    expect(await stage.stores.images.find(image.id)).toMatchObject({ state: 'ready' })
    expect(stage.logged.map(({ event }) => event)).toContain('bytes_lost')
  })
})

test('one bad row does not stop the round, nor one bad step the next', async () => {
  const uploads = [await addUpload(stage), await addUpload(stage), await addUpload(stage)]
  const { target, stores } = stage
  const bad = uploads[0]?.stagingKey
  Object.assign(stage.deps, {
    target: {
      ...target,
      head: (key: string, signal: AbortSignal) =>
        key === bad ? Promise.reject(new Error('bad sector')) : target.head(key, signal),
    },
    stores: { ...stores, survey: { ...stores.survey, stranded: () => Promise.reject(new Error('bad table')) } },
  })
  await addConfirmed()
  stage.grow()
  expect(await sweep()).toMatchObject({ expired: 2, error: 2 })
  expect(stage.counted.filter((event) => event === 'sweep_error')).toHaveLength(2)
})

test('two sweepers at once do each thing once', async () => {
  for (let count = 0; count < 5; count++) await addReady(stage)
  const uploads = await Promise.all(Array.from({ length: 20 }, () => addUpload(stage)))
  await Promise.all(uploads.slice(0, 5).map(({ stagingKey }) => addBytes(stage, stagingKey, jpegStart)))
  stage.grow()
  const tallies = await Promise.all([sweep(), sweep()])
  const sum = (event: string) => tallies.reduce((total, tally) => total + (tally[event] ?? 0), 0)
  expect(sum('expired')).toBe(15)
  expect(sum('error')).toBe(0)
  for (const { id } of uploads) {
    const events = await stage.stores.uploads.events(id)
    expect(events.map(({ to }) => to)).toHaveLength(2)
  }
  expect(await stage.stores.uploads.recount(false)).toEqual([])
})

describe('records of what is over', () => {
  const dayMs = 24 * 3_600_000
  let { uploads, images, outbox, jobs } = {} as Stage['stores']
  beforeEach(() => void ({ uploads, images, outbox, jobs } = stage.stores))
  const rows = (table: string) => {
    const db = new Database(stage.file)
    const { count } = db.prepare(`select count(*) as count from ${table}`).get() as { count: number }
    db.close()
    return count
  }
  const found = async () =>
    Object.fromEntries((await stage.examine()).filter(({ count }) => count > 0).map(({ name, count }) => [name, count]))

  /** One of each kind that goes. */
  async function addEnded() {
    const [expired, rejected, failed] = [await addUpload(stage), await addUpload(stage), await addConfirmed()]
    await uploads.end(expired.id, ['pending'], 'expired', { messages: [{ type: 'upload.expired', payload: {} }] })
    await uploads.end(rejected.id, ['pending'], 'rejected', {})
    await uploads.end(failed.id, ['uploaded'], 'failed', {})
    await stage.target.delete(failed.stagingKey, never)
    const removed = await addReady(stage)
    await stage.stores.shares.create({
      ...{ id: newId('shr'), imageId: removed.image.id, createdBy: 'a', params: undefined, maxUses: undefined },
      ...{ expiresAtMs: stage.deps.now() + 1000, createdAtMs: stage.deps.now() },
    })
    const removal = await images.remove(removed.image.id, [])
    for (const key of removal?.objectKeys ?? []) {
      await stage.target.delete(key, never)
      await stage.stores.objects.forget(key)
    }
    const [message] = await outbox.list({ limit: 1 })
    await outbox.failed(message?.id ?? '', 'gone', undefined)
    await giveUpJob(failed.id)
    return { ended: [expired, rejected, failed], removed: removed.image.id }
  }

  async function giveUpJob(uploadId: string) {
    await stage.deps.queue.add('process-upload', { uploadId }, { dedupeKey: uploadId })
    const taken = await jobs.take(['process-upload'], stage.deps.now() + 1, stage.deps.now() + 1000)
    await jobs.failed(taken ?? { id: '', lease: 0 }, 'boom', { diedAtMs: stage.deps.now() })
  }

  test('go when they are old, with everything that spoke of them, and the doctor has nothing to say', async () => {
    const { ended, removed } = await addEnded()
    stage.forward(89 * dayMs)
    expect(await sweep()).toEqual({})
    expect(await images.find(removed)).toMatchObject({ state: 'deleted' })
    stage.forward(2 * dayMs)
    // Looked at first, and nothing changed.
    const seen = await found()
    // The job goes with its upload.
    expect(seen).toEqual({ dead_jobs: 1, old_records: 5 })
    expect(await found()).toEqual(seen)
    expect(await sweep()).toEqual({ old_upload: 4, old_message: 1, old_job: 1 })
    for (const { id } of ended) expect(await uploads.find(id)).toBeUndefined()
    expect(await images.find(removed)).toBeUndefined()
    const tables = ['uploads', 'upload_events', 'images', 'versions', 'shares', 'outbox', 'jobs', 'objects']
    expect(tables.map(rows)).toEqual(tables.map(() => 0))
    expect(await found()).toEqual({})
    expect(await sweep()).toEqual({})
  })

  test('go by the doctor at once', async () => {
    await addEnded()
    stage.forward(91 * dayMs)
    const mended = (await stage.examine({ isFixing: true })).find(({ name }) => name === 'old_records')
    expect(mended).toMatchObject({ count: 6, mended: 6, severity: 'note' })
    expect(await found()).toEqual({})
  })

  test('stay as long as an image stands on them, bytes are kept for them, or somebody may try them again', async () => {
    const { image, upload } = await addReady(stage)
    const worse = await addUpload(stage, { imageId: image.id })
    await uploads.move(worse.id, ['pending'], 'processing')
    const object = await stage.stores.objects.begin({
      ...{ ...owner, key: `objects/${newId('obj')}`, sha256: 'x', storedSha256: 'x', byteLength: 5 },
    })
    await addBytes(stage, object.key)
    await uploads.finish(worse.id, {
      ...{ state: 'quarantined', objectKey: object.key, byteLength: 5, sha256: 'x', facts, messages: () => [] },
    })
    await images.review(image.id, 'rejected', [])
    const failed = await addConfirmed()
    await uploads.end(failed.id, ['uploaded'], 'failed', {})
    await giveUpJob(failed.id)
    stage.forward(1000 * dayMs)
    expect(await sweep()).not.toHaveProperty('old_upload')
    expect(await uploads.find(worse.id)).toMatchObject({ state: 'rejected' })
    expect(await images.versions(image.id)).toMatchObject([{ state: 'rejected' }, { state: 'ready' }])
    expect(await uploads.find(upload.id)).toMatchObject({ state: 'ready' })
    expect(await jobs.stats()).toMatchObject({ dead: 1 })
    expect(await uploads.revive(failed.id, unbounded)).toMatchObject({ state: 'uploaded' })
  })

  test('are worked off a page at a time, past those that stay', async () => {
    const keep = Array.from({ length: 200 }, () => addConfirmed())
    for (const { id } of await Promise.all(keep)) await uploads.end(id, ['uploaded'], 'failed', {})
    stage.forward(1000)
    const { id } = await addUpload(stage)
    await uploads.end(id, ['pending'], 'rejected', {})
    stage.forward(91 * dayMs)
    const places: SweepPlaces = { ghosts: {} }
    expect(await sweep(places)).toEqual({})
    expect(await sweep(places)).toEqual({ old_upload: 1 })
  })
})
