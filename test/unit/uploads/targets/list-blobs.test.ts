import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createDiskTarget, type DiskTarget } from '../../../../src/uploads/targets/disk-target.ts'
import { listBlobs } from '../../../../src/uploads/targets/list-blobs.ts'

const signal = new AbortController().signal
let folder: string
let target: DiskTarget

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'halftone-list-'))
  target = createDiskTarget({ folder, publicOrigin: () => '', secret: 's', now: Date.now })
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('the listing of a folder of blobs', () => {
  test('is in key order whatever the keys look like, page by page, by any prefix', async () => {
    // Beginnings that are shards of each other, and separators that sort before and after the slash.
    const keys = [
      ...['up', 'up-', 'up/a', 'upl', 'upl_', 'upl_a', 'upl_ab', 'upl_ab/c', 'upl_ab-c', 'upl_ab0', 'upl_b', 'upq'],
      ...['obj_00', 'obj_01/v1', 'obj_01/v2', 'obj_010', '00', '0-', '_a', '--', 'zz.jpg', 'zz/a.b/c'],
    ].flatMap((name) => [`staging/${name}`, `objects/${name}`])
    for (const key of keys) await target.write(key, Buffer.from(key), 'a/b', signal)
    await writeFile(join(folder, 'objects', 'README'), 'not ours')
    const inOrder = [...keys].sort()
    const starts = fc.constantFrom('', 'o', 'staging', 'objects/', ...keys, ...keys.map((key) => key.slice(0, -1)))
    await fc.assert(
      fc.asyncProperty(starts, fc.integer({ min: 1, max: 7 }), async (prefix, pageSize) => {
        const listed: string[] = []
        let cursor: string | undefined
        do {
          const page = await listBlobs(folder, { prefix, cursor, pageSize })
          expect(page.objects.length).toBeLessThanOrEqual(pageSize)
          listed.push(...page.objects.map(({ key }) => key))
          cursor = page.cursor
        } while (cursor !== undefined)
        expect(listed).toEqual(inOrder.filter((key) => key.startsWith(prefix)))
      }),
      { numRuns: 150 },
    )
  })

  test('of a folder that is not there yet is empty', async () => {
    const nowhere = join(folder, 'nowhere')
    expect(await listBlobs(nowhere, { prefix: '', cursor: undefined, pageSize: 10 })).toEqual({
      objects: [],
      cursor: undefined,
    })
  })
})
