import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from '../../src/config/load-config.ts'
import { openStores } from '../../src/db/open-stores.ts'
import type { NewUpload } from '../../src/db/stores.ts'
import { createJobQueue } from '../../src/jobs/create-job-queue.ts'
import { newId } from '../../src/lib/new-id.ts'
import { inspectUploads, type InspectOptions } from '../../src/uploads/doctor/inspect-uploads.ts'
import { depsForDoctor } from '../../src/uploads/doctor/open-deps.ts'
import { createDiskTarget } from '../../src/uploads/targets/disk-target.ts'
import type { UploadDeps } from '../../src/uploads/upload-deps.ts'
import { projectRoot } from './start-halftone.ts'
import { facts, newUpload, owner, unbounded } from './store-records.ts'

export const never = new AbortController().signal

/** The settings of the write path over a folder of its own. */
export function uploadsConfig(dataDir: string, settings: Record<string, string> = {}) {
  const loaded = loadConfig(
    { HALFTONE_DATA_DIR: dataDir, HALFTONE_SOURCE: dataDir, ...settings },
    { cwd: projectRoot, packageDir: projectRoot },
  )
  if (!loaded.ok || !loaded.config.uploads) throw new Error(JSON.stringify(loaded))
  return { config: loaded.config, uploads: loaded.config.uploads }
}

/** Database, disk target and queue as the server has them, without a server, and with a clock that can be put forward. */
export async function openStage(settings: Record<string, string> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'halftone-stage-'))
  const { uploads: config } = uploadsConfig(folder, settings)
  let aheadMs = 0
  const now = () => Date.now() + aheadMs
  const file = join(folder, 'halftone.sqlite')
  const stores = await openStores({ file, now })
  const uploadsFolder = join(folder, 'uploads')
  const target = createDiskTarget({ folder: uploadsFolder, publicOrigin: () => '', secret: 's', now })
  const logged: { event: string; fields: Readonly<Record<string, unknown>> }[] = []
  const counted: string[] = []
  const queue = createJobQueue({ table: stores.jobs, config, drainMs: 0, log: { warn: () => undefined } })
  const deps: UploadDeps = {
    ...depsForDoctor({
      ...{ config, stores, target, queue, now },
      log: (_, event, fields) => void logged.push({ event, fields }),
    }),
    count: (event) => void counted.push(event),
  }
  return {
    ...{ deps, stores, target, config, logged, counted, file, folder, uploadsFolder },
    forward: (ms: number) => void (aheadMs += ms),
    /** Past every grace. */
    grow: () => void (aheadMs += (config.graceSeconds + config.permissionSeconds + 60) * 1000),
    examine: (change: Partial<InspectOptions> = {}) =>
      inspectUploads({ isFixing: false, isDeep: false, isForced: false, ...change }, deps, never),
    async close() {
      await queue.close()
      await stores.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

export type Stage = Awaited<ReturnType<typeof openStage>>

/** An upload of the stage's clock, by its owner. */
export async function addUpload({ stores, deps }: Stage, change: Partial<NewUpload> = {}) {
  const atMs = deps.now()
  const made = newUpload({ createdAtMs: atMs, expiresAtMs: atMs + deps.config.permissionSeconds * 1000, ...change })
  return (await stores.uploads.create(made, { quota: unbounded })).upload
}

/** A ready image with its bytes, as the job leaves it. */
export async function addReady(stage: Stage, bytes: Buffer = Buffer.from(newId('obj'))) {
  const { stores, target } = stage
  const { id } = await addUpload(stage)
  await stores.uploads.move(id, ['pending'], 'processing')
  const storedSha256 = createHash('sha256').update(bytes).digest('hex')
  const asked = { key: `objects/${newId('obj')}`, sha256: storedSha256, storedSha256, byteLength: bytes.length }
  const object = await stores.objects.begin({ ...owner, ...asked })
  await target.write(object.key, bytes, 'image/jpeg', never)
  const what = { objectKey: object.key, byteLength: bytes.length, sha256: storedSha256, facts }
  const finished = await stores.uploads.finish(id, { state: 'ready', ...what, messages: () => [] })
  if (!finished) throw new Error('the upload was not processing')
  return { ...finished, key: object.key }
}

/** Puts bytes where no upload led. */
export async function addBytes({ target }: Stage, key: string, bytes = Buffer.from('bytes')): Promise<string> {
  await target.write(key, bytes, 'image/jpeg', never)
  return key
}
