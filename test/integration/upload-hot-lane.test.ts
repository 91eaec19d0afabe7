import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { startUploads, targetOf, type UploadServer } from '../helpers/upload-api.ts'

let memory: UploadServer
let disk: UploadServer
let photo: Buffer
let other: Buffer

beforeAll(async () => {
  photo = await drawGradientJpeg(320, 240)
  other = await drawGradientJpeg(300, 300)
  memory = await startUploads()
  // Nothing fits into the memory tier: every repeat hit is one of the disk's, behind a head that is ready.
  disk = await startUploads({ HALFTONE_MEMORY_CACHE_MB: '0' })
})
afterAll(async () => {
  await memory?.stop()
  await disk?.stop()
})

async function ask(server: UploadServer, target: string) {
  const response = await fetch(`${server.origin}${target}`)
  await response.arrayBuffer()
  const timing = response.headers.get('server-timing') ?? ''
  return { status: response.status, etag: response.headers.get('etag'), isHot: timing === 'cache;desc=memory', timing }
}

/** Asked for until it is answered before anything is read or asked. */
async function heat(server: UploadServer, target: string) {
  await expect.poll(async () => (await ask(server, target)).isHot, { timeout: 5000, interval: 20 }).toBe(true)
  return ask(server, target)
}

async function warm(server: UploadServer, target: string) {
  for (let turn = 0; turn < 4; turn += 1) await ask(server, target)
  // Written behind the answer.
  const isStored = async () => (await ask(server, target)).timing.startsWith('cache;desc=disk')
  await expect.poll(isStored, { timeout: 5000, interval: 20 }).toBe(true)
  return ask(server, target)
}

async function uploadPublic(server: UploadServer) {
  const { image } = await server.admin.upload(photo, { visibility: 'public' })
  const { id } = image
  return { id, exact: `/u/${id}/1/photo.jpg?w=64`, newest: `/u/${id}?w=64` }
}

const changes = [
  {
    what: 'deleted',
    make: (server: UploadServer, id: string) => server.admin.delete(`/v1/images/${id}`),
    exact: 404,
    newest: 404,
  },
  {
    what: 'made private',
    make: (server: UploadServer, id: string) => server.admin.patch(`/v1/images/${id}`, { visibility: 'private' }),
    exact: 403,
    newest: 403,
  },
  {
    what: 'deleted by another process',
    make: (server: UploadServer, id: string) => server.sql(`update images set state = 'deleted' where id = ?`, id),
    exact: 404,
    newest: 404,
  },
  {
    what: 'made private by another process',
    make: (server: UploadServer, id: string) => server.sql(`update images set visibility = 'private' where id = ?`, id),
    exact: 403,
    newest: 403,
  },
] as const

describe.each([
  { tier: 'memory', server: () => memory, prepare: heat },
  { tier: 'disk', server: () => disk, prepare: warm },
])('a repeat hit from $tier', ({ server: of, prepare }) => {
  test.each(changes)('is none any more with the next request once the image is $what', async (change) => {
    const server = of()
    const { id, exact, newest } = await uploadPublic(server)
    expect((await prepare(server, exact)).status).toBe(200)
    expect((await prepare(server, newest)).status).toBe(200)
    await change.make(server, id)
    expect((await ask(server, exact)).status).toBe(change.exact)
    expect((await ask(server, newest)).status).toBe(change.newest)
  })

  test('follows to the new version with the next request, while the old one stays', async () => {
    const server = of()
    const { id, exact, newest } = await uploadPublic(server)
    const before = await prepare(server, newest)
    await prepare(server, exact)
    await server.admin.upload(other, { image: id })
    const after = await ask(server, newest)
    expect(after.status).toBe(200)
    expect(after.etag).not.toBe(before.etag)
    expect(await ask(server, exact)).toMatchObject({ status: 200 })
    expect((await prepare(server, newest)).etag).toBe(after.etag)
  })
})

test('what happens to others cools it for one request, and a look for work that finds none does not', async () => {
  const { exact } = await uploadPublic(memory)
  await heat(memory, exact)
  // Longer than the queue sleeps between two looks.
  await new Promise((resolve) => setTimeout(resolve, 2500))
  expect((await ask(memory, exact)).isHot).toBe(true)
  await memory.admin.presign(photo)
  expect(await ask(memory, exact)).toMatchObject({ status: 200, isHot: false })
  expect(await ask(memory, exact)).toMatchObject({ status: 200, isHot: true })
})

test('a signed URL of a private image is one, until the image is deleted', async () => {
  const { image } = await memory.admin.upload(photo)
  const signed = targetOf(image.url)
  await heat(memory, signed)
  await memory.admin.delete(`/v1/images/${image.id}`)
  expect((await ask(memory, signed)).status).toBe(404)
})

test('a share is never one: its uses are counted, and it can be revoked', async () => {
  const { image } = await memory.admin.upload(photo)
  const share = await memory.admin.post(`/v1/images/${image.id}/shares`, { params: 'w=64' })
  expect(share.status).toBe(201)
  const shared = targetOf(String(share.json['url']))
  for (let turn = 0; turn < 4; turn += 1) expect(await ask(memory, shared)).toMatchObject({ status: 200, isHot: false })
  await memory.admin.delete(`/v1/images/${image.id}/shares/${String(share.json['id'])}`)
  expect((await ask(memory, shared)).status).toBe(403)
})
