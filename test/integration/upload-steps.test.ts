import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createRendererPool, type RendererPool } from '../../src/transform/executor/renderer-pool.ts'
import { deleteImage } from '../../src/uploads/change-image.ts'
import { confirmUpload } from '../../src/uploads/confirm-upload.ts'
import { processUpload } from '../../src/uploads/process-upload.ts'
import { sweepUploads } from '../../src/uploads/sweep-uploads.ts'
import type { UploadDeps } from '../../src/uploads/upload-deps.ts'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { dieAfter } from '../helpers/failpoints.ts'
import { owner } from '../helpers/store-records.ts'
import { addBytes, addReady, addUpload, never, openStage, uploadsConfig, type Stage } from '../helpers/upload-stage.ts'

const isLast = () => false

let pool: RendererPool
let picture: Buffer<ArrayBuffer>
beforeAll(async () => {
  const { config } = uploadsConfig('/tmp')
  pool = createRendererPool({ config: { ...config.render, renderers: 1 }, log: () => undefined })
  picture = Buffer.from(await drawGradientJpeg(160, 120, { gps: true }))
})
afterAll(() => pool.close())

/** The stage with real renderers and moderators that allow. */
function depsOf({ deps }: Stage): UploadDeps {
  return { ...deps, examiner: pool, moderate: () => Promise.resolve({ tier: 'allow', reason: undefined }) }
}

async function stageUpload(stage: Stage, bytes: Buffer<ArrayBuffer>) {
  const upload = await addUpload(stage, { byteLength: bytes.length, reservedBytes: bytes.length })
  await addBytes(stage, upload.stagingKey, bytes)
  return upload
}

/** What the processes that come after the dead one do, until nothing is left to do: time passes, jobs are run, the sweeper goes round. */
async function live(stage: Stage): Promise<void> {
  const deps = depsOf(stage)
  for (let round = 0; round < 4; round++) {
    stage.grow()
    await sweepUploads(deps, never)
    for (;;) {
      const job = await stage.stores.jobs.take(['process-upload'], deps.now(), deps.now() + 1000)
      if (!job) break
      const payload = JSON.parse(job.payload) as Record<string, string>
      await processUpload({ id: job.id, kind: job.kind, payload, attempt: job.attempt, isLast }, deps, never)
      await stage.stores.jobs.done(job)
    }
  }
}

/** Lets `life` die after each of its calls in turn; `check` says what has to be true in the end, whenever it was. */
async function dieAtEveryStep(scene: {
  prepare: (stage: Stage) => Promise<(deps: UploadDeps) => Promise<unknown>>
  check: (stage: Stage) => Promise<void>
}): Promise<string[]> {
  let calls: string[] = []
  for (let lastCall = 0; lastCall <= calls.length; lastCall++) {
    const stage = await openStage()
    try {
      const life = await scene.prepare(stage)
      const dying = dieAfter(lastCall === 0 ? Infinity : lastCall, depsOf(stage))
      // The first one lives to the end, to count the calls.
      await Promise.race([life(dying.deps).catch(() => undefined), dying.died])
      if (lastCall === 0) calls = [...dying.calls]
      await live(stage)
      const left = (await stage.examine({ isDeep: true })).filter(({ count }) => count > 0)
      expect({ after: dying.calls.at(-1), left }).toEqual({ after: dying.calls.at(-1), left: [] })
      await scene.check(stage)
    } finally {
      await stage.close()
    }
  }
  return calls
}

describe('a process that dies after any call of the write path', () => {
  test('leaves a picture that becomes ready once, with its bytes and its quota', async () => {
    let ids: { id: string; imageId: string } | undefined
    const calls = await dieAtEveryStep({
      async prepare(stage) {
        const upload = await stageUpload(stage, picture)
        ids = upload
        return async (deps) => {
          await confirmUpload(upload, deps, never)
          const job = await stage.stores.jobs.take(['process-upload'], deps.now(), deps.now() + 1000)
          if (!job) throw new Error('nothing was put into the queue')
          const payload = { uploadId: upload.id }
          await processUpload({ id: job.id, kind: job.kind, payload, attempt: 1, isLast }, deps, never)
          await deps.stores.jobs.done(job)
        }
      },
      async check(stage) {
        const { stores, target } = stage
        const { id = '', imageId = '' } = ids ?? {}
        expect(await stores.uploads.find(id)).toMatchObject({ state: 'ready', version: 1 })
        const versions = await stores.images.versions(imageId)
        expect(versions).toHaveLength(1)
        const served = await stores.images.findServed(imageId, undefined)
        const bytes = await target.read(served?.version.objectKey ?? '', { maxBytes: 1e6 }, never)
        const pixels = await Promise.all([bytes ?? picture, picture].map((one) => sharp(one).raw().toBuffer()))
        expect(bytes && pixels[0]?.equals(pixels[1] ?? Buffer.alloc(0))).toBe(true)
        expect(await stores.uploads.usage(owner)).toEqual({
          ...{ storedBytes: bytes?.length, reservedBytes: 0, objects: 1, images: 1, openUploads: 0 },
        })
        expect((await target.list('staging/', undefined, never)).objects).toEqual([])
        expect((await target.list('objects/', undefined, never)).objects).toHaveLength(1)
        expect((await stores.uploads.events(id)).filter(({ to }) => to === 'ready')).toHaveLength(1)
      },
    })
    // Every step that changes something was the last one once.
    for (const step of [
      'stores.uploads.move',
      'queue.add',
      'stores.objects.begin',
      'target.write',
      'stores.uploads.finish',
      'target.delete',
      'stores.jobs.done',
    ]) {
      expect(calls).toContain(step)
    }
  }, 90_000)

  test('leaves nothing of bytes that are no picture, but the word of it', async () => {
    let id = ''
    const calls = await dieAtEveryStep({
      async prepare(stage) {
        // Its header is whole, so that only the job finds it out.
        const upload = await stageUpload(stage, picture.subarray(0, picture.length >> 1))
        id = upload.id
        return async (deps) => {
          const { id: uploadId } = await confirmUpload(upload, deps, never)
          const job = await stage.stores.jobs.take(['process-upload'], deps.now(), deps.now() + 1000)
          const payload = { uploadId }
          await processUpload({ id: job?.id ?? '', kind: 'process-upload', payload, attempt: 1, isLast }, deps, never)
        }
      },
      async check({ stores, target }) {
        expect(await stores.uploads.find(id)).toMatchObject({ state: 'rejected', reason: { code: 'undecodable' } })
        expect(await stores.uploads.usage(owner)).toMatchObject({ reservedBytes: 0, openUploads: 0, objects: 0 })
        expect((await target.list('', undefined, never)).objects).toEqual([])
      },
    })
    expect(calls).toContain('stores.uploads.end')
  }, 90_000)

  test('leaves nothing of a deleted image', async () => {
    const calls = await dieAtEveryStep({
      async prepare(stage) {
        const { image } = await addReady(stage, picture)
        return (deps) => deleteImage(image, deps, never)
      },
      async check({ stores, target }) {
        // Before anything was done the image is simply still there.
        const { objects } = await target.list('', undefined, never)
        const usage = await stores.uploads.usage(owner)
        expect([objects.length, usage.objects]).toEqual([usage.objects, objects.length])
        expect(objects).toEqual([])
      },
    })
    expect(calls).toEqual(expect.arrayContaining(['stores.images.remove', 'target.delete', 'stores.objects.forget']))
  }, 60_000)
})
