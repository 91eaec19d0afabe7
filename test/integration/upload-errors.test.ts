import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SignedRequest } from '../../src/uploads/targets/upload-target.ts'
import { send } from '../contract/upload-target.ts'
import { ask } from '../helpers/ask.ts'
import { drawExif, drawZip, jpegSegment, planted, pngChunk, xmpPacket } from '../helpers/draw-metadata.ts'
import { drawAnimatedGif, drawGradientJpeg } from '../helpers/draw-picture.ts'
import { makePictureFolder } from '../helpers/picture-folder.ts'
import {
  pathOf,
  startUploads,
  swapStaged,
  targetOf,
  until,
  type Answer,
  type Api,
  type UploadServer,
} from '../helpers/upload-api.ts'

const heic = resolve(import.meta.dirname, '../../../shared/corpus/formats/iphone13.heic')
if (!existsSync(heic)) console.log('skipped: the shared corpus is not at ../shared/corpus, so no HEIC was uploaded')

let server: UploadServer
let photo: Buffer
let owners = 0
const projects = makePictureFolder({
  'projects.json': JSON.stringify({
    projects: {
      default: {
        maxMB: 2,
        maxMegapixels: 4,
        types: ['image/jpeg', 'image/png', 'image/gif', 'image/heic'],
        kinds: {
          avatar: { minWidth: 128, minHeight: 128, aspect: { ratio: 1, tolerance: 0.1 }, animated: false, maxMB: 1 },
          logo: { types: ['image/png'], maxWidth: 300, maxHeight: 300, visibility: 'public' },
        },
      },
      small: { maxMB: 1, quota: { maxMB: 1, objects: 2, openUploads: 1 } },
    },
  }),
})

beforeAll(async () => {
  photo = await drawGradientJpeg(320, 240)
  server = await startUploads({
    HALFTONE_PROJECTS_FILE: join(projects.folder, 'projects.json'),
    HALFTONE_UPLOAD_SWEEP_SECONDS: '1',
    HALFTONE_UPLOAD_GRACE_SECONDS: '60',
    HALFTONE_MAX_FRAMES: '20',
  })
})
afterAll(async () => {
  await server?.stop()
  projects.remove()
})

/** Somebody who has nothing yet, so that what is left over shows. */
const photoName = 'photo.jpg'
/** A form as scripts in pages send it. */
async function postAs(user: Api, form: FormData) {
  const headers = { authorization: user.authorization }
  const response = await fetch(`${server.origin}/v1/images`, { method: 'POST', body: form, headers })
  return { status: response.status, problem: (await response.json()) as { code?: string; detail?: string } }
}

const somebody = (claims: Record<string, unknown> = {}) => server.user(`owner-${(owners += 1)}`, claims)
const usageOf = async (user: Api) => (await user.get('/v1/usage')).json
const nothing = { storedBytes: 0, reservedBytes: 0, objects: 0, images: 0, openUploads: 0 }

function expectProblem(answer: Answer, status: number, code: string): void {
  expect([answer.status, answer.json['code'], answer.json['detail']]).toEqual([status, code, answer.json['detail']])
  expect(answer.headers['content-type']).toBe('application/problem+json')
  expect(answer.headers['x-request-id']).toBe(answer.json['requestId'])
  expect(answer.json).toMatchObject({ status, type: `urn:halftone:problem:${code}` })
  expect(answer.headers['access-control-allow-origin']).toBeUndefined()
}

describe('refused before anything is stored', () => {
  test.each([
    ['too large', { size: 2_000_001 }, 413, 'too_large', /2000001.*2000000/],
    ['too large for its kind', { size: 1_500_000, kind: 'avatar' }, 413, 'too_large', /1000000/],
    ['a type that is not allowed', { type: 'image/svg+xml' }, 415, 'type_not_allowed', /image\/jpeg/],
    ['a type that its kind does not allow', { kind: 'logo' }, 415, 'type_not_allowed', /image\/png/],
    ['a kind that there is not', { kind: 'hero' }, 400, 'bad_request', /avatar, logo/],
    ['no file name', { filename: undefined }, 400, 'bad_request', /^"filename": expected a text, got nothing\.$/],
    ['a file name with a path', { filename: '../a.jpg' }, 400, 'bad_request', /slashes/],
    ['a size in words', { size: 'large' }, 400, 'bad_request', /^"size": expected a number, got "large"\.$/],
    ['no bytes at all', { size: 0 }, 400, 'bad_request', /size/],
    ['a checksum of another kind', { sha256: 'abc' }, 400, 'bad_request', /SHA-256/],
    ['an unknown field', { tags: ['a'] }, 400, 'bad_request', /tags.*no such field.*visibility/],
    ['a misspelt field', { visiblity: 'public' }, 400, 'bad_request', /"visiblity": .*did you mean "visibility"\?/],
    ['a visibility that there is not', { visibility: 'all' }, 400, 'bad_request', /one of public, private, got "all"/],
    ['a name without end', { filename: 'a'.repeat(256) }, 400, 'bad_request', /at most 255 characters/],
    ['metadata that is no text', { metadata: { a: 1 } }, 400, 'bad_request', /metadata\.a/],
    [
      'too much metadata',
      { metadata: Object.fromEntries(Array.from({ length: 21 }, (_, at) => [`${at}`, ''])) },
      400,
      'bad_request',
      /20/,
    ],
    ['an id that is none', { image: 'lake' }, 400, 'bad_request', /image/],
    ['an image that is not there', { image: `img_${'0'.repeat(26)}` }, 404, 'not_found', /image/],
  ])('%s', async (_what, change, status, code, detail) => {
    const user = await somebody()
    const answer = await user.post('/v1/uploads', { filename: 'a.jpg', type: 'image/jpeg', size: 1000, ...change })
    expectProblem(answer, status, code)
    expect(answer.json['detail']).toMatch(detail)
    expect(await usageOf(user)).toMatchObject(nothing)
  })

  test.each([
    ['broken JSON', '{"filename":', 'application/json', 400, 'bad_request'],
    ['no object', '[1]', 'application/json', 400, 'bad_request'],
    ['a form of the other kind', 'filename=a.jpg', 'application/x-www-form-urlencoded', 400, 'bad_request'],
    ['more JSON than anybody needs', `{"filename":"${'a'.repeat(70_000)}"}`, 'application/json', 413, 'too_large'],
  ])('%s', async (_what, body, type, status, code) => {
    expectProblem(await server.admin.post('/v1/uploads', body, { 'Content-Type': type }), status, code)
  })

  test('a new version that its image could not have been', async () => {
    const { image } = await server.admin.upload(await drawFlat(20, 20), { kind: 'logo', type: 'image/png' })
    const intent = { filename: 'a.jpg', type: 'image/jpeg', size: 1000, image: image.id }
    expectProblem(await server.admin.post('/v1/uploads', intent), 415, 'type_not_allowed')
    expectProblem(await server.admin.form({ image: image.id }, photo), 415, 'type_not_allowed')
  })

  test('an Idempotency-Key that is none', async () => {
    const intent = { filename: 'a.jpg', type: 'image/jpeg', size: 1 }
    expectProblem(await server.admin.post('/v1/uploads', intent, { 'Idempotency-Key': 'a b' }), 400, 'bad_request')
  })

  test('a full quota of bytes, of objects, of open uploads', async () => {
    const user = await somebody({ project: 'small' })
    const intent = { filename: 'a.jpg', type: 'image/jpeg' }
    const first = await user.presign(photo)
    expectProblem(await user.post('/v1/uploads', { ...intent, size: 10 }), 403, 'quota_exceeded')
    await user.delete(`/v1/uploads/${first.id}`)
    await user.upload(photo)
    expect(await usageOf(user)).toMatchObject({ objects: 1, openUploads: 0, reservedBytes: 0 })
    const rest = 1_000_000 - Number((await usageOf(user))['storedBytes'])
    expectProblem(await user.post('/v1/uploads', { ...intent, size: rest + 1 }), 403, 'quota_exceeded')
    const second = await user.upload(await drawGradientJpeg(64, 48))
    expectProblem(await user.post('/v1/uploads', { ...intent, size: 10 }), 403, 'quota_exceeded')
    await user.delete(`/v1/images/${second.image.id}`)
    expect((await user.post('/v1/uploads', { ...intent, size: rest })).status).toBe(201)
  })

  test('a full quota of images that are all the same', async () => {
    const user = await somebody({ project: 'small' })
    await user.upload(photo)
    await user.upload(photo)
    expect(await usageOf(user)).toMatchObject({ objects: 1, images: 2 })
    const refused = await user.post('/v1/uploads', { filename: 'a.jpg', type: 'image/jpeg', size: photo.length })
    expectProblem(refused, 403, 'quota_exceeded')
  })
})

describe('refused once the bytes are there', () => {
  const bomb = () => drawPngHeader(60_000, 60_000)
  const text = Buffer.from('This is a text that calls itself a picture. '.repeat(20))
  const cases: readonly (readonly [string, () => Buffer | Promise<Buffer>, object, number, string])[] = [
    ['a text named .jpg', () => text, {}, 422, 'type_mismatch'],
    ['a PNG that is said to be a JPEG', () => sharp(photo).png().toBuffer(), {}, 422, 'type_mismatch'],
    [
      'a web page',
      () => Buffer.from('<!doctype html><script>alert(1)</script>'),
      { type: 'image/png' },
      422,
      'type_mismatch',
    ],
    ['a JPEG that breaks off', () => photo.subarray(0, photo.length / 2), {}, 422, 'undecodable'],
    ['a JPEG of which only the head came', () => photo.subarray(0, 300), {}, 422, 'undecodable'],
    ['a JPEG that is a ZIP, too', () => Buffer.concat([photo, drawZip(photo.length)]), {}, 422, 'type_mismatch'],
    ['a bomb of 3600 megapixels', bomb, { type: 'image/png' }, 422, 'too_many_pixels'],
    ['more pixels than the project allows', () => drawFlat(2100, 2000), { type: 'image/png' }, 422, 'too_many_pixels'],
    ['more frames than are allowed', () => drawAnimatedGif(21), { type: 'image/gif' }, 422, 'too_many_frames'],
    [
      'an avatar that is too small',
      () => drawGradientJpeg(100, 100),
      { kind: 'avatar' },
      422,
      'dimensions_not_allowed',
    ],
    [
      'an avatar that is not square',
      () => drawGradientJpeg(200, 300),
      { kind: 'avatar' },
      422,
      'dimensions_not_allowed',
    ],
    [
      'an avatar that moves',
      () => drawAnimatedGif(3, 128, 128),
      { kind: 'avatar', type: 'image/gif' },
      422,
      'too_many_frames',
    ],
    [
      'a logo that is too wide',
      () => drawFlat(301, 10),
      { kind: 'logo', type: 'image/png' },
      422,
      'dimensions_not_allowed',
    ],
  ]

  test.each(cases)('%s: by PUT', async (_what, draw, intent, status, code) => {
    const user = await somebody()
    const { id } = await user.begin(await draw(), { ...intent })
    expect(server.files('staging').has(id)).toBe(true)
    expectProblem(await user.confirm(id), status, code)
    await until(() => !server.files('staging').has(id), 'its bytes go')
    expect(await usageOf(user)).toMatchObject(nothing)
    // Asked again, it says the same; and the record tells it to those who only look.
    expectProblem(await user.confirm(id), status, code)
    const { json } = await user.get(`/v1/uploads/${id}`)
    expect(json).toMatchObject({ state: 'rejected', error: { code } })
    const { id: image } = json['image'] as { id: string }
    expect((await user.get(`/v1/images/${image}`)).json['state']).toBe('rejected')
    expect(await ask(server.halftone, `/u/${image}`)).toMatchObject({ status: 404 })
  })

  test.each(cases)('%s: by form', async (_what, draw, intent, status, code) => {
    const user = await somebody()
    const { type = 'image/jpeg', ...fields } = intent as Record<string, string>
    expectProblem(await user.form(fields, await draw(), { type }), status, code)
    expect(await usageOf(user)).toMatchObject(nothing)
  })

  test.each([
    ['a file under another name', [['image', photoName]], /field "file", got one in "image"/],
    [
      'a file under another name beside the right one',
      [
        ['image', photoName],
        ['file', photoName],
      ],
      /got one in "image"/,
    ],
    [
      'two files',
      [
        ['file', photoName],
        ['file', photoName],
      ],
      /one file, got several/,
    ],
    [
      'a field behind the file',
      [
        ['file', photoName],
        ['kind', undefined],
      ],
      /Fields come before the file; "kind"/,
    ],
    ['no file', [['kind', undefined]], /file in the field "file"/],
  ] as const)('a form with %s', async (_what, parts, detail) => {
    const user = await somebody()
    const form = new FormData()
    for (const [name, filename] of parts) {
      if (filename === undefined) form.append(name, 'avatar')
      else form.append(name, new Blob([photo], { type: 'image/jpeg' }), filename)
    }
    const answer = await postAs(user, form)
    expect([answer.status, answer.problem.code]).toEqual([400, 'bad_request'])
    expect(answer.problem.detail).toMatch(detail)
    expect(await usageOf(user)).toMatchObject(nothing)
  })

  test('a form whose metadata is a Blob of JSON', async () => {
    const form = new FormData()
    form.append('metadata', new Blob(['{"alt":"A lake"}'], { type: 'application/json' }))
    form.append('file', new Blob([photo], { type: 'image/jpeg' }), photoName)
    const { status } = await postAs(await somebody(), form)
    expect(status).toBe(202)
  })

  test('the picture itself as the body is told of the form', async () => {
    const answer = await server.admin.post('/v1/images', photo, { 'Content-Type': 'image/jpeg' })
    expectProblem(answer, 400, 'bad_request')
    expect(answer.json['detail']).toMatch(/multipart\/form-data.*"file".*image\/jpeg/)
  })

  test('a form with a file of a type that is not allowed, before it is read', async () => {
    expectProblem(await server.admin.form({}, photo, { type: 'image/svg+xml' }), 415, 'type_not_allowed')
    expectProblem(await server.admin.form({}, photo, { type: 'text/plain' }), 415, 'type_not_allowed')
  })

  test('a form whose file has another SHA-256', async () => {
    const user = await somebody()
    expectProblem(await user.form({ sha256: '0'.repeat(64) }, photo, { wait: 0 }), 422, 'checksum_mismatch')
    expect(await usageOf(user)).toMatchObject(nothing)
    const sha256 = createHash('sha256').update(photo).digest('base64')
    expect((await user.form({ sha256 }, photo)).json['state']).toBe('ready')
  })

  test('another number of bytes than declared, which only a store without rules lets in', async () => {
    const user = await somebody()
    const { id } = await user.begin(photo)
    swapStaged(server, id, Buffer.concat([photo, Buffer.alloc(5)]))
    expectProblem(await user.confirm(id), 422, 'size_mismatch')
    expect(server.files('staging').has(id)).toBe(false)
    expect(await usageOf(user)).toMatchObject(nothing)
  })

  test('another SHA-256 than declared, of what came in parts: found by confirming, and not before it is all there', async () => {
    const parted = await startUploads({
      HALFTONE_UPLOAD_PARTS_FROM_MB: '5.25',
      HALFTONE_UPLOAD_PART_MB: '5.25',
      HALFTONE_UPLOAD_CONFIRM_HASH_MB: '0',
    })
    try {
      const user = await parted.user('parts')
      const large = Buffer.concat([photo, Buffer.alloc(6_000_000)])
      const { id } = await user.presign(large, { sha256: '1'.repeat(64) })
      const { json } = await user.post(`/v1/uploads/${id}/parts`, { numbers: [1, 2] })
      const parts = json['parts'] as (SignedRequest & { number: number })[]
      const sendPart = (part: (typeof parts)[number]) =>
        send(part, large.subarray((part.number - 1) * 5_250_000, part.number * 5_250_000))
      expect((await sendPart(parts[0]!)).status).toBe(200)
      expectProblem(await user.confirm(id, 0), 409, 'not_uploaded')
      expect((await sendPart(parts[1]!)).status).toBe(200)
      // By the sum that the store took when it put them together: nothing else is hashed here.
      for (let again = 0; again < 2; again += 1) expectProblem(await user.confirm(id, 0), 422, 'checksum_mismatch')
      expect(parted.files('staging').size).toBe(0)
      expect(await usageOf(user)).toMatchObject(nothing)
    } finally {
      await parted.stop()
    }
  })

  test.each([
    ['is found by confirming, where the store has no sum of these bytes', '64', 422],
    ['is found by the job, where that would take confirming too long', '0', 202],
  ])('another SHA-256 than declared %s', async (_when, hashMB, confirmed) => {
    const other = await startUploads({ HALFTONE_UPLOAD_CONFIRM_HASH_MB: hashMB })
    try {
      const user = await other.user('swaps')
      const { id } = await user.begin(photo, { sha256: createHash('sha256').update(photo).digest('hex') })
      swapStaged(other, id, Buffer.concat([photo.subarray(0, -2), Buffer.from([1, 2])]))
      const answer = await user.confirm(id, 0)
      expect(answer.status).toBe(confirmed)
      if (confirmed === 422) expect(other.files('staging').size).toBe(0)
      expectProblem(await user.confirm(id), 422, 'checksum_mismatch')
      expect(await usageOf(user)).toMatchObject(nothing)
    } finally {
      await other.stop()
    }
  })

  test('another SHA-256 than declared', async () => {
    const user = await somebody()
    const sha256 = createHash('sha256').update(photo).digest('hex')
    const refused = await user.presign(photo, { sha256: '1'.repeat(64) })
    expect((await send(refused.upload, photo)).status).toBeGreaterThanOrEqual(400)
    const { id } = await user.begin(photo, { sha256 })
    swapStaged(server, id, Buffer.concat([photo.subarray(0, -2), Buffer.from([1, 2])]))
    expectProblem(await user.confirm(id), 422, 'checksum_mismatch')
    await until(() => !server.files('staging').has(id), 'its bytes go')
    await user.delete(`/v1/uploads/${refused.id}`)
    expect(await usageOf(user)).toMatchObject(nothing)
  })

  test('the permission is for these bytes, once', async () => {
    const { upload } = await server.admin.presign(photo)
    const sized = (body: Buffer) => send(upload, body, { headers: { 'content-length': String(body.length) } })
    expect((await sized(photo.subarray(1))).status).toBe(422)
    expect((await sized(Buffer.concat([photo, Buffer.alloc(1)]))).status).toBe(413)
    expect((await send(upload, photo, { headers: { 'content-type': 'text/html' } })).status).toBe(422)
    expect((await send(upload, photo)).status).toBe(200)
    const again = await send(upload, photo)
    expect([again.status, again.text]).toEqual([412, expect.stringContaining('Confirm the upload')])
  })
})

test('at the store every refusal says where to get another permission', async () => {
  const { upload } = await server.admin.presign(photo, { size: undefined })
  const form = new FormData()
  form.append('file', new Blob([photo]), photoName)
  for (const [name, value] of Object.entries(upload.fields ?? {})) form.append(name, value)
  const fileFirst = await fetch(upload.url, { method: 'POST', body: form })
  // Which of the two is noticed first depends on how the body is cut on its way.
  expect([400, 403]).toContain(fileFirst.status)
  expect(await fileFirst.json()).toMatchObject({
    detail: expect.stringContaining('Fields come before the file') as string,
  })
  const put = (await server.admin.presign(photo)).upload
  for (const url of [put.url.replace(/\?.*/, ''), put.url.replace(/sig=..../, 'sig=abcd')]) {
    const { status, text } = await send(put, photo, { url })
    expect([status, text]).toEqual([403, expect.stringContaining('POST /v1/uploads answered')])
  }
})

describe('confirmed too early or too late', () => {
  test('before the bytes are there nothing is deleted, and it works later', async () => {
    const { id, upload } = await server.admin.presign(photo)
    const early = await server.admin.confirm(id)
    expectProblem(early, 409, 'not_uploaded')
    expect(Number(early.headers['retry-after'])).toBeGreaterThan(0)
    expect((await server.admin.get(`/v1/uploads/${id}`)).json['state']).toBe('pending')
    await send(upload, photo)
    expect((await server.admin.confirm(id)).json['state']).toBe('ready')
  })

  test('an expired upload is 410, at first by the clock and then by its state', async () => {
    const user = await somebody()
    const { id, image } = await user.presign(photo)
    await server.sql('update uploads set expires_at_ms = ? where id = ?', Date.now() - 1000, id)
    const late = await user.confirm(id)
    expectProblem(late, 410, 'expired')
    expect(late.json['detail']).toContain('POST /v1/uploads')
    expect((await user.get(`/v1/uploads/${id}`)).json['state']).toBe('pending')
    await server.sql('update uploads set expires_at_ms = ? where id = ?', Date.now() - 61_000, id)
    await until(async () => (await user.get(`/v1/uploads/${id}`)).json['state'] === 'expired', 'the sweeper')
    expectProblem(await user.confirm(id), 410, 'expired')
    expect(await usageOf(user)).toMatchObject(nothing)
    expectProblem(await user.get(`/v1/images/${image.id}`), 404, 'not_found')
  })

  test('a lost confirm is no loss: the sweeper confirms what has its bytes', async () => {
    const user = await somebody()
    const { id } = await user.begin(photo)
    await server.sql('update uploads set expires_at_ms = ? where id = ?', Date.now() - 1000, id)
    await until(async () => (await user.get(`/v1/uploads/${id}`)).json['state'] === 'ready', 'the sweeper')
  })

  test('records of what is over go after the time they are kept, and ids of deleted images stay 404', async () => {
    const user = await somebody()
    const { id, image } = await user.upload(photo, { visibility: 'public' })
    const text = Buffer.from('no picture '.repeat(50))
    const refused = await user.begin(text)
    await user.confirm(refused.id)
    await user.delete(`/v1/images/${image.id}`)
    const isKept = (upload: string) => server.rows('select id from uploads where id = ?', upload).length > 0
    expect([id, refused.id].map(isKept)).toEqual([true, true])
    const longAgo = Date.now() - 91 * 24 * 3_600_000
    for (const one of [id, refused.id])
      await server.sql('update uploads set updated_at_ms = ? where id = ?', longAgo, one)
    await until(() => ![id, refused.id].some(isKept), 'the sweeper')
    for (const path of [`/v1/images/${image.id}`, `/v1/uploads/${id}`, `/v1/uploads/${refused.id}`]) {
      expectProblem(await user.get(path), 404, 'not_found')
    }
    expect((await server.halftone.get(pathOf(image.url))).status).toBe(404)
    expect((await user.presign(photo)).id).not.toBe(id)
  })

  test('the bytes of a confirmed upload are checked as they are when they are served', async () => {
    const user = await somebody()
    const [red, blue] = await Promise.all(['#d01020', '#1020d0'].map(drawColor))
    if (!red || !blue) throw new Error('drawn')
    await holdJobs()
    const { id } = await user.begin(red, { type: 'image/png', size: red.length, visibility: 'public' })
    expect((await user.confirm(id, 0)).status).toBe(202)
    swapStaged(server, id, blue.subarray(0, red.length))
    await releaseJobs()
    const settled = await user.get(`/v1/uploads/${id}`, { Prefer: 'wait=20' })
    await expectWhatWasChecked(settled, { red, blue })
  })

  test('and nothing that comes while the job runs is served', async () => {
    const user = await somebody()
    const [red, blue] = await Promise.all(['#d01020', '#1020d0'].map(drawColor))
    if (!red || !blue) throw new Error('drawn')
    for (let round = 0; round < 5; round += 1) {
      const { id } = await user.begin(red, { type: 'image/png', size: red.length, visibility: 'public' })
      const { path } = server.files('staging').get(id) ?? { path: '' }
      const waiting = user.confirm(id)
      for (let swaps = 0; swaps < 40 && existsSync(path); swaps += 1) {
        writeFileSync(path, swaps % 2 === 0 ? blue : red)
        await new Promise((done) => setTimeout(done, 1))
      }
      const settled = await waiting
      if (settled.status === 200) await expectWhatWasChecked(settled, { red, blue })
    }
  })
})

describe('accepted', () => {
  test.skipIf(!existsSync(heic))('HEIC, served as AVIF, WebP and JPEG', async () => {
    const file = readFileSync(heic)
    const small = await startUploads({ HALFTONE_UPLOAD_MAX_MB: '20' })
    try {
      const { image } = await small.admin.upload(file, {
        type: 'image/heif',
        filename: 'IMG_1.HEIC',
        visibility: 'public',
      })
      expect(image.format).toBe('heic')
      for (const type of ['image/avif', 'image/webp', 'image/jpeg']) {
        const served = await ask(small.halftone, `${pathOf(image.url)}?w=160&auto=format`, { accept: type })
        expect(served.headers.get('content-type')).toBe(type)
      }
    } finally {
      await small.stop()
    }
  })

  test('an animated GIF, which stays animated', async () => {
    const gif = await drawAnimatedGif(5)
    const { image } = await server.admin.upload(gif, { type: 'image/gif', filename: 'a.gif', visibility: 'public' })
    expect(image).toMatchObject({ format: 'gif', frames: 5 })
    for (const [query, accept] of [
      ['', '*/*'],
      ['?w=20', '*/*'],
      ['?auto=format', 'image/webp'],
    ]) {
      const { body } = await ask(server.halftone, `${pathOf(image.url)}${query}`, { accept: accept ?? '' })
      expect((await sharp(body).metadata()).pages).toBe(5)
    }
  })

  test('a picture with a place, serial numbers and a thumbnail, none of which is stored or served', async () => {
    const exif = jpegSegment(0xe1, 'Exif\0\0', await drawExif())
    const xmp = jpegSegment(0xe1, 'http://ns.adobe.com/xap/1.0/\0', xmpPacket)
    const said = jpegSegment(0xfe, planted.comment)
    const file = Buffer.concat([photo.subarray(0, 2), exif, xmp, said, photo.subarray(2), Buffer.from(planted.trailer)])
    const { image } = await server.admin.upload(file, { visibility: 'public' })
    const told = (await server.admin.get(`/v1/images/${image.id}/metadata`)).json
    expect(told).toMatchObject({ exif: { model: 'Model X', takenAt: '2024-05-06T07:08:09+02:00' }, width: 240 })
    const [version] = server.rows<{ object_key: string }>(
      'select object_key from versions where image_id = ?',
      image.id,
    )
    const path = pathOf(image.url)
    const answers = await Promise.all(
      ['', '?w=50', '?fm=png', '?fm=webp', '?fm=avif'].map((query) => ask(server.halftone, `${path}${query}`)),
    )
    const stored = server
      .files('objects')
      .get(version?.object_key.replace('objects/', '') ?? '')
      ?.read()
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
    expect(stored).toEqual(answers[0]?.body)
    for (const bytes of [stored, ...answers.map(({ body }) => body), Buffer.from(JSON.stringify(told))]) {
      for (const text of Object.values(planted)) expect(bytes?.includes(text)).toBe(false)
    }
    expect((await sharp(answers[0]?.body).metadata()).exif?.includes('GPS')).not.toBe(true)
  })
})

/** Served bytes are those whose SHA-256 the record has, and the facts are those of the same picture. */
async function expectWhatWasChecked(settled: Answer, drawn: { red: Buffer; blue: Buffer }): Promise<void> {
  const { image } = settled.json as { image: { id: string; url: string; dominantColor: string } }
  const { sha256 } = (await server.admin.get(`/v1/images/${image.id}/metadata`)).json
  const { body } = await ask(server.halftone, pathOf(targetOf(image.url)))
  expect(createHash('sha256').update(body).digest('hex')).toBe(sha256)
  const isRed = body.equals(drawn.red)
  expect(isRed || body.equals(drawn.blue)).toBe(true)
  expect(image.dominantColor.slice(0, 3)).toBe(isRed ? '#d0' : '#10')
}

/** Jobs that are added wait until they are let go. */
async function holdJobs(): Promise<void> {
  await server.sql(`create trigger hold_jobs after insert on jobs begin
    update jobs set due_at_ms = due_at_ms + 3600000 where id = new.id; end`)
}

async function releaseJobs(): Promise<void> {
  await server.sql('drop trigger hold_jobs')
  await server.sql('update jobs set due_at_ms = 0')
}

/** One colour, and the same number of bytes for each: uncompressed. */
function drawColor(background: string): Promise<Buffer> {
  return sharp({ create: { width: 16, height: 16, channels: 3, background } })
    .png({ compressionLevel: 0 })
    .toBuffer()
}

function drawFlat(width: number, height: number): Promise<Buffer> {
  return sharp({ create: { width, height, channels: 3, background: 'green' } })
    .png()
    .toBuffer()
}

/** A PNG that says it is so large; a few bytes follow. */
function drawPngHeader(width: number, height: number): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, 2], 8)
  const magic = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
  return Buffer.concat([
    magic,
    pngChunk('IHDR', header),
    pngChunk('IDAT', Buffer.alloc(60)),
    pngChunk('IEND', Buffer.alloc(0)),
  ])
}
