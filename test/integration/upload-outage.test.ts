import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { AppError } from '../../src/errors.ts'
import { createEmbeddedQueue } from '../../src/jobs/embedded-queue.ts'
import { isOutage } from '../../src/jobs/is-outage.ts'
import type { JobQueue } from '../../src/jobs/job-queue.ts'
import { createRendererPool, type RendererPool } from '../../src/transform/executor/renderer-pool.ts'
import { processKind } from '../../src/uploads/confirm-upload.ts'
import { retryDeadJob } from '../../src/uploads/dead-jobs.ts'
import { createUploads } from '../../src/uploads/create-uploads.ts'
import { processUpload } from '../../src/uploads/process-upload.ts'
import type { UploadDeps } from '../../src/uploads/upload-deps.ts'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { addBytes, addUpload, never, openStage, uploadsConfig, type Stage } from '../helpers/upload-stage.ts'

let pool: RendererPool
let picture: Buffer<ArrayBuffer>
let stage: Stage
let queue: JobQueue | undefined
beforeAll(async () => {
  const { config } = uploadsConfig('/tmp')
  pool = createRendererPool({ config: { ...config.render, renderers: 1 }, log: () => undefined })
  picture = Buffer.from(await drawGradientJpeg(160, 120))
})
afterEach(async () => {
  await queue?.close()
  await stage.close()
})
afterAll(() => pool.close())

const soon = { timeout: 15_000, interval: 20 }
const stateOf = async (id: string) => (await stage.stores.uploads.find(id))?.state

/** A confirmed upload, a store of bytes that is out until it is mended, and a queue that waits milliseconds where others wait seconds. */
async function openOutage({ retryForMs, settings = {} }: { retryForMs: number; settings?: Record<string, string> }) {
  stage = await openStage({ HALFTONE_UPLOAD_ATTEMPTS: '2', ...settings })
  const { stores, target, config, deps: bare } = stage
  const store = { isOut: true, asked: 0 }
  const deps: UploadDeps = {
    ...bare,
    examiner: pool,
    moderate: () => Promise.resolve({ tier: 'allow', reason: undefined }),
    target: {
      ...target,
      read: (...asked) => {
        store.asked += 1
        return store.isOut ? Promise.reject(new AppError('target_failed')) : target.read(...asked)
      },
    },
  }
  const jobs = createEmbeddedQueue({
    ...{ table: stores.jobs, concurrency: 1, maxAttempts: config.maxAttempts, retryForMs, isOutage },
    ...{ jobTimeoutMs: 30_000, leaseMs: 5_000, pollMs: 20, retryMs: { first: 5, longest: 20 }, drainMs: 1_000 },
    log: { warn: () => undefined },
  })
  queue = jobs
  const upload = await addUpload(stage, { byteLength: picture.length, reservedBytes: picture.length })
  await addBytes(stage, upload.stagingKey, picture)
  await stores.uploads.move(upload.id, ['pending'], 'uploaded')
  await jobs.add(processKind, { uploadId: upload.id }, { dedupeKey: upload.id })
  jobs.work({ [processKind]: (job, signal) => processUpload(job, deps, signal) })
  return { upload, deps, jobs, store }
}

test('an upload outlives any number of tries of a store that is out', async () => {
  const { upload, store } = await openOutage({ retryForMs: 3_600_000 })
  await vi.waitFor(() => expect(store.asked).toBeGreaterThan(12), soon)
  expect(await stateOf(upload.id)).toBe('processing')
  store.isOut = false
  await vi.waitFor(async () => expect(await stateOf(upload.id)).toBe('ready'), soon)
})

test('one that lasts for too long ends it as failed, and a person brings it back with all its bytes', async () => {
  const { upload, store, jobs, deps } = await openOutage({ retryForMs: 300 })
  await vi.waitFor(async () => expect(await stateOf(upload.id)).toBe('failed'), soon)
  await vi.waitFor(async () => expect(await jobs.stats()).toMatchObject({ dead: 1 }), soon)
  store.isOut = false
  const [dead] = await jobs.dead(1)
  await retryDeadJob(upload.project, dead?.id ?? '', { ...deps, queue: jobs, deadJobs: jobs })
  await vi.waitFor(async () => expect(await stateOf(upload.id)).toBe('ready'), soon)
})

test('a lowered limit takes back nothing: what was allowed is processed, and what is stored is served', async () => {
  const { upload, store, jobs, deps } = await openOutage({
    retryForMs: 3_600_000,
    settings: { HALFTONE_UPLOAD_MAX_MB: '0.001' },
  })
  store.isOut = false
  await vi.waitFor(async () => expect(await stateOf(upload.id)).toBe('ready'), soon)
  const maxBytes = stage.config.projects['default']?.maxBytes ?? 0
  expect(maxBytes).toBeLessThan(picture.length)
  const { source } = createUploads(stage.config, {
    ...{ ...deps, queue: jobs, secrets: { of: () => new Uint8Array(32) } },
    ...{ origin: () => '', sign: () => '' },
    policy: { variants: { kind: 'exact' }, staleWhileRevalidateSeconds: 0, maxBytes },
  }).source
  expect(await source.read(`/${upload.imageId}/1`, never)).toHaveProperty('bytes')
})
