import { expect, test } from 'vitest'
import type { ObjectRecord } from '../../../src/db/records.ts'
import { auditUploads } from '../../../src/uploads/audit-uploads.ts'
import { drawBase, drawExif, jpegSegment } from '../../helpers/draw-metadata.ts'

const never = new AbortController().signal

function objectsOf(count: number, state: ObjectRecord['state'] = 'stored') {
  const records = Array.from({ length: count }, (_, index): ObjectRecord => {
    const key = `objects/${String(index).padStart(5, '0')}`
    const owner = { project: 'default', owner: 'ann' }
    return { ...owner, key, sha256: '', storedSha256: '', byteLength: 10, state, createdAtMs: 0 }
  })
  const page = (after: string | undefined, limit: number) =>
    Promise.resolve(records.filter(({ key }) => after === undefined || key > after).slice(0, limit))
  return { page }
}

test('stored bytes and answers are both looked at, and told apart', async () => {
  const clean = await drawBase().jpeg().toBuffer()
  const segment = jpegSegment(0xe1, 'Exif\0\0', await drawExif())
  const dirty = Buffer.concat([clean.subarray(0, 2), segment, clean.subarray(2)])
  const deps = {
    objects: objectsOf(3),
    read: (key: string) => Promise.resolve(key.endsWith('2') ? undefined : key.endsWith('1') ? dirty : clean),
    answersOf: (key: string) => Promise.resolve([{ name: 'w=320', bytes: key.endsWith('0') ? dirty : clean }]),
    random: () => 0,
  }
  const { findings, ...report } = await auditUploads(deps, 10, never)
  expect(report).toEqual({ objects: 3, answers: 4, missing: ['objects/00002'] })
  expect(new Set(findings.map(({ key, answer }) => `${key} ${answer}`))).toEqual(
    new Set(['objects/00000 w=320', 'objects/00001 stored']),
  )
  expect(findings.map(({ kind }) => kind)).toContain('place')
})

test('a sample is drawn from all pages, and only of what is stored', async () => {
  const read: string[] = []
  let state = 7
  const deps = {
    objects: objectsOf(1_700),
    read: (key: string) => Promise.resolve((read.push(key), Buffer.alloc(4))),
    answersOf: () => Promise.resolve([]),
    random: () => (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647,
  }
  expect((await auditUploads(deps, 60, never)).objects).toBe(60)
  expect(new Set(read).size).toBe(60)
  expect(new Set(read.map((key) => Math.floor(Number(key.slice(-5)) / 500))).size).toBe(4)
  expect(await auditUploads({ ...deps, objects: objectsOf(5, 'writing') }, 60, never)).toMatchObject({ objects: 0 })
})
