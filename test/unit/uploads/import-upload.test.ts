import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Principal } from '../../../src/auth/authenticator.ts'
import { AppError } from '../../../src/errors.ts'
import { importUpload, type FetchOriginal } from '../../../src/uploads/import-upload.ts'
import { owner } from '../../helpers/store-records.ts'
import { never, openStage, type Stage } from '../../helpers/upload-stage.ts'

const jpegStart = Buffer.from([0xff, 0xd8, 0xff, 0xe0])
const url = 'http://pictures.example/lake.jpg'

let stage: Stage
beforeEach(async () => {
  stage = await openStage({ HALFTONE_UPLOAD_MAX_MB: '1', HALFTONE_UPLOAD_QUOTA_MB: '1' })
})
afterEach(() => stage.close())

const principal: Principal = {
  ...owner,
  project: 'default',
  kind: 'key',
  name: 'ann',
  scopes: new Set(['uploads:write']),
}
const take = (fetchOriginal: FetchOriginal) =>
  importUpload({ url }, { principal, idempotencyKey: undefined }, fetchOriginal, stage.deps, never)
const usage = () => stage.stores.uploads.usage({ project: principal.project, owner: principal.owner })

test('the quota is held back before anything is fetched', async () => {
  let fetches = 0
  const upload = await take(async (_url, maxBytes, use) => {
    fetches += 1
    expect(await usage()).toMatchObject({ openUploads: 1, reservedBytes: maxBytes })
    await expect(take(() => Promise.reject(new Error('fetched')))).rejects.toMatchObject({ code: 'quota_exceeded' })
    return use(jpegStart)
  })
  expect(fetches).toBe(1)
  expect(upload).toMatchObject({ state: 'uploaded', way: 'import', contentType: 'image/jpeg', filename: 'lake.jpg' })
  expect(await stage.target.head(upload.stagingKey, never)).toMatchObject({ byteLength: jpegStart.length })
})

test.each([
  ['a fetch that fails', 'source_timeout', () => Promise.reject(new AppError('source_timeout'))],
  ['what is no picture', 'not_an_image', (_url, _max, use) => use(Buffer.from('plain text'))],
  [
    'a type that is not taken',
    'type_not_allowed',
    (_url, _max, use) => use(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>')),
  ],
] satisfies [string, string, FetchOriginal][])(
  '%s gives it back, and leaves no bytes',
  async (_, code, fetchOriginal) => {
    await expect(take(fetchOriginal)).rejects.toMatchObject({ code })
    expect(await usage()).toMatchObject({ openUploads: 0, reservedBytes: 0 })
    expect((await stage.target.list('', undefined, never)).objects).toEqual([])
  },
)
