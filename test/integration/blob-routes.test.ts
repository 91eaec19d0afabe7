import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createBlobRoutes } from '../../src/http/blob-routes.ts'
import { createPages } from '../../src/http/create-pages.ts'
import { bodyLimits, type BodyLimits } from '../../src/http/receive-body.ts'
import { createDiskTarget, type DiskTarget } from '../../src/uploads/targets/disk-target.ts'
import { describeUploadTarget } from '../contract/upload-target.ts'

const delivery = { errorMaxAgeSeconds: 60, retryAfterSeconds: 5, corsOrigin: '*' }

/** A disk target and the server that answers for it. */
async function openDisk(limits: Partial<BodyLimits> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'halftone-blobs-'))
  const at = { origin: '' }
  const target: DiskTarget = createDiskTarget({
    folder,
    publicOrigin: () => at.origin,
    secret: 'secret',
    now: Date.now,
  })
  const routes = createBlobRoutes({ door: target.door, limits: { ...bodyLimits, ...limits } })
  const server: Server = createServer(createPages([routes], { delivery, onError: (error) => console.error(error) }))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  at.origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    ...{ folder, target, server },
    temporaryFiles: () => readdir(join(folder, 'tmp')),
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await rm(folder, { recursive: true, force: true })
    },
  }
}

type Disk = Awaited<ReturnType<typeof openDisk>>

describe('the disk target and its door', () => {
  let disk: Disk
  beforeAll(async () => {
    disk = await openDisk()
  })
  afterAll(() => disk.close())

  describeUploadTarget('disk', () => ({ target: disk.target, enforcesChecksums: true, postIsOnce: true }))

  test('nothing is left of all that was refused', async () => {
    expect(await disk.temporaryFiles()).toEqual([])
  })
})
