import { createHash, randomBytes } from 'node:crypto'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createClient, HalftoneError, type UploadProgress } from '../../src/client/client.ts'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { faultFetch, type Fault } from '../helpers/fault-fetch.ts'
import { startHalftone, type RunningHalftone } from '../helpers/start-halftone.ts'

const key = 'key-of-at-least-sixteen'
const blobs = /^\/v1\/blobs/
let halftone: RunningHalftone
let photo: File

beforeAll(async () => {
  halftone = await startHalftone({
    HALFTONE_API_KEYS: `shop:${key}`,
    HALFTONE_RENDERERS: '1',
    HALFTONE_UPLOAD_PARTS_FROM_MB: '5.25',
    HALFTONE_UPLOAD_PART_MB: '5.25',
    HALFTONE_PUBLIC_UPLOADS: 'true',
  })
  photo = new File([await drawGradientJpeg(400, 300, { orientation: 6, gps: true })], 'Café été.JPG', {
    type: 'image/jpeg',
  })
})
afterAll(() => halftone.stop())

function clientWith(faults: readonly Fault[] = [], change?: (request: Request) => Request) {
  const door = faultFetch(faults, change)
  const client = createClient({
    ...{ baseUrl: halftone.origin, token: key, fetch: door.fetch },
    retryDelayMs: 5,
  })
  return { ...door, ...client }
}

async function ask(path: string, method = 'GET') {
  const answer = await fetch(halftone.origin + path, { method, headers: { authorization: `Bearer ${key}` } })
  return (await answer.json()) as Record<string, unknown>
}

describe('uploadImage', () => {
  test('takes a file to a picture that can be shown', async () => {
    const { uploadImage, told } = clientWith()
    const progress: UploadProgress[] = []
    const sha256 = createHash('sha256')
      .update(Buffer.from(await photo.arrayBuffer()))
      .digest('hex')
    const image = await uploadImage(photo, {
      ...{ visibility: 'public', subject: 'user 7', metadata: { album: 'été' }, sha256 },
      onProgress: (step) => progress.push(step),
    })
    expect(image).toMatchObject({
      ...{ state: 'ready', version: 1, visibility: 'public', filename: 'Café été.JPG', format: 'jpeg' },
      ...{ width: 400, height: 300, subject: 'user 7', metadata: { album: 'été' } },
    })
    const shown = await sharp(await (await fetch(image.url)).arrayBuffer()).metadata()
    expect([shown.width, shown.height]).toEqual([400, 300])
    const id = told()[2]!.split('/')[3]!
    expect(told().slice(0, 3)).toEqual([
      'POST /v1/uploads',
      `PUT /v1/blobs/staging/${id}`,
      `POST /v1/uploads/${id}/confirm`,
    ])
    expect(progress[0]).toEqual({ phase: 'starting', loaded: 0, total: photo.size })
    expect(progress).toContainEqual({ phase: 'uploading', loaded: photo.size, total: photo.size })
    expect(progress.at(-1)).toEqual({ phase: 'processing', loaded: photo.size, total: photo.size })
  })

  test('a Blob without a name and a file of unknown type are uploaded as what they are', async () => {
    const { uploadImage } = clientWith()
    expect(await uploadImage(new Blob([await photo.bytes()], { type: 'image/jpeg' }))).toMatchObject({ format: 'jpeg' })
    const path = await uploadImage(new File([await photo.bytes()], 'C:\\pictures/a.jpeg'))
    expect(path.filename).toBe('C:-pictures-a.jpeg')
  })

  test.each<{ name: string; faults: Fault[]; puts: number }>([
    { name: 'a line that breaks', faults: [{ path: blobs, times: 2, answer: 'unreachable' }], puts: 3 },
    { name: 'an answer that is lost', faults: [{ path: blobs, times: 1, answer: 'lost' }], puts: 2 },
    {
      name: 'a store that is busy',
      faults: [{ path: blobs, times: 2, answer: new Response('', { status: 503, headers: { 'retry-after': '0' } }) }],
      puts: 3,
    },
    {
      name: 'an API that stumbles at every step',
      faults: [
        { method: 'POST', path: /uploads$/, times: 1, answer: 'lost' },
        { method: 'POST', path: /confirm$/, times: 1, answer: 'lost' },
        { path: /confirm$/, times: 2, answer: new Response('<h1>Bad gateway</h1>', { status: 502 }) },
      ],
      puts: 1,
    },
  ])('$name costs a repetition, no picture', async ({ faults, puts }) => {
    const { uploadImage, requests } = clientWith(faults)
    const before = (await ask('/v1/usage')) as { objects: number }
    expect(await uploadImage(photo)).toMatchObject({ state: 'ready' })
    expect(requests('PUT', blobs)).toHaveLength(puts)
    const keys = requests('POST', /uploads$/).map((request) => request.headers.get('idempotency-key'))
    expect(new Set(keys).size).toBe(1)
    expect(await ask('/v1/usage')).toMatchObject({ openUploads: 0, objects: before.objects })
  })

  test('bytes that come too late get a permission of their own, and the upload that was late is taken back', async () => {
    const late: Fault = { path: blobs, times: 1, answer: new Response('Request has expired', { status: 403 }) }
    const { uploadImage, requests } = clientWith([late])
    expect(await uploadImage(photo)).toMatchObject({ state: 'ready' })
    const keys = requests('POST', /uploads$/).map((request) => request.headers.get('idempotency-key'))
    expect(new Set(keys).size).toBe(2)
    await expect.poll(() => ask('/v1/usage')).toMatchObject({ openUploads: 0 })
  })

  test('a store that never lets anybody in is told as such', async () => {
    const never: Fault = { path: blobs, times: 99, answer: new Response('AccessDenied', { status: 403 }) }
    const { uploadImage, requests } = clientWith([never])
    await expect(uploadImage(photo)).rejects.toMatchObject({ code: 'store_refused', status: 403 })
    expect(requests('PUT', blobs)).toHaveLength(3)
    await expect.poll(() => ask('/v1/usage')).toMatchObject({ openUploads: 0 })
  })

  test('a store that is never there fails with the line, after every try', async () => {
    const { uploadImage, requests } = clientWith([{ path: blobs, times: 99, answer: 'unreachable' }])
    await expect(uploadImage(photo)).rejects.toMatchObject({ name: 'HalftoneError', code: 'network', status: 0 })
    expect(requests('PUT', blobs)).toHaveLength(5)
    await expect.poll(() => ask('/v1/usage')).toMatchObject({ openUploads: 0 })
  })

  test('bytes that the store does not show yet are confirmed a little later', async () => {
    const soon = Response.json({ code: 'not_uploaded' }, { status: 409, headers: { 'retry-after': '0' } })
    const { uploadImage, requests } = clientWith([{ path: /confirm$/, times: 2, answer: soon }])
    expect(await uploadImage(photo)).toMatchObject({ state: 'ready' })
    expect(requests('POST', /confirm$/)).toHaveLength(3)
  })

  test('a large file goes in parts, of which only the failed ones are sent again', async () => {
    const noise = await sharp(randomBytes(2200 * 2000 * 3), { raw: { width: 2200, height: 2000, channels: 3 } })
      .png({ compressionLevel: 0 })
      .toBuffer()
    const big = new File([noise], 'noise.png', { type: 'image/png' })
    const parts = Math.ceil(big.size / 5_250_000)
    const broken: Fault = { path: blobs, times: 1, answer: 'unreachable' }
    const late: Fault = { path: blobs, times: 1, answer: new Response('', { status: 403 }) }
    const { uploadImage, requests } = clientWith([broken, late])
    const loaded: number[] = []
    const image = await uploadImage(big, {
      onProgress: (step) => step.phase === 'uploading' && loaded.push(step.loaded),
    })
    expect(image).toMatchObject({ width: 2200, height: 2000, format: 'png' })
    expect(parts).toBe(3)
    expect(requests('PUT', blobs)).toHaveLength(parts + 2)
    // All at once, and the late one again.
    const signed = await Promise.all(requests('POST', /parts$/).map((request) => request.json()))
    expect(signed).toEqual([{ numbers: [1, 2, 3] }, { numbers: [expect.any(Number)] }])
    expect(new Set(loaded).size).toBeGreaterThan(2)
    expect(loaded.at(-1)).toBe(big.size)
  })

  test('parts that a slow line did not get to in time are asked for anew', async () => {
    const noise = await sharp(randomBytes(2200 * 2000 * 3), { raw: { width: 2200, height: 2000, channels: 3 } })
      .png({ compressionLevel: 0 })
      .toBuffer()
    const big = new File([noise], 'noise.png', { type: 'image/png' })
    // Signed for no time at all: what does not begin at once is signed again, without asking the store.
    const signedFor = (door: ReturnType<typeof faultFetch>) => {
      const fetch: typeof globalThis.fetch = async (input, init) => {
        const answer = await door.fetch(input, init)
        if (!/parts$/.test(input instanceof Request ? input.url : String(input))) return answer
        return Response.json({ ...((await answer.json()) as object), expiresIn: 0 })
      }
      return createClient({ baseUrl: halftone.origin, token: key, fetch, retryDelayMs: 5, retries: 0 })
    }
    const late = faultFetch([])
    expect(await signedFor(late).uploadImage(big)).toMatchObject({ width: 2200, format: 'png' })
    expect(late.requests('PUT', blobs)).toHaveLength(3)
    expect(late.requests('POST', /parts$/).length).toBeGreaterThan(1)
    // A store that refuses while the bytes still come is not always heard.
    const unheard = faultFetch([{ path: blobs, times: 3, answer: 'unreachable' }])
    expect(await signedFor(unheard).uploadImage(big)).toMatchObject({ width: 2200 })
    expect(unheard.requests('PUT', blobs)).toHaveLength(6)
  })

  test('a store that gave a form gets a form', async () => {
    const { uploadImage, requests } = clientWith([{ path: blobs, times: 1, answer: 'unreachable' }], (request) => {
      if (!/uploads$/.test(request.url)) return request
      // What the server does not know the size of it lets in by form.
      const { method, headers, signal } = request
      const body = JSON.stringify({ filename: 'a.jpg', type: 'image/jpeg' })
      return new Request(request.url, { method, headers, signal, body })
    })
    expect(await uploadImage(photo)).toMatchObject({ state: 'ready', width: 400 })
    expect(requests('POST', blobs)).toHaveLength(2)
    expect(requests('PUT', blobs)).toHaveLength(0)
  })

  test('what is no picture is refused with the code of the server', async () => {
    const { uploadImage } = clientWith()
    const refused = uploadImage(new File(['no picture at all'], 'holiday.jpg', { type: 'image/jpeg' }))
    await expect(refused).rejects.toBeInstanceOf(HalftoneError)
    await expect(refused).rejects.toMatchObject({
      ...{ code: 'type_mismatch', status: 422 },
      detail: expect.stringContaining('image/jpeg') as string,
      requestId: expect.stringMatching(/./) as string,
      imageId: expect.stringMatching(/^img_/) as string,
    })
    await expect(uploadImage(new File(['text'], 'a.txt', { type: 'text/plain' }))).rejects.toMatchObject({
      code: 'type_not_allowed',
      status: 415,
    })
    const torn = new File([(await photo.bytes()).slice(0, 5000)], 'torn.jpg', { type: 'image/jpeg' })
    await expect(uploadImage(torn)).rejects.toMatchObject({ code: 'undecodable', status: 422 })
    const other = uploadImage(photo, { sha256: '0'.repeat(64) })
    await expect(other).rejects.toMatchObject({ name: 'HalftoneError', code: 'checksum_mismatch', status: 422 })
  })

  test.each(['starting', 'uploading', 'processing'])('aborting while %s ends it and takes it back', async (phase) => {
    const { uploadImage, told } = clientWith()
    const leaving = new AbortController()
    const before = await ask('/v1/usage')
    const aborted = uploadImage(photo, {
      signal: leaving.signal,
      onProgress: (step) => void (step.phase === phase && leaving.abort()),
    })
    await expect(aborted).rejects.toMatchObject({ name: 'AbortError' })
    const sent = told().length
    await expect.poll(() => ask('/v1/usage')).toEqual(before)
    if (phase !== 'starting') {
      expect(told()[sent - 1]).toMatch(/^DELETE /)
      const id = told()[sent - 1]!.split('/').at(-1)
      expect(await ask(`/v1/uploads/${id}`)).toMatchObject({ state: 'deleted' })
    }
  })

  test('a signal that has fired before lets nothing begin', async () => {
    const { uploadImage, told } = clientWith()
    const reason = new Error('left before')
    await expect(uploadImage(photo, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect(told()).toEqual([])
  })

  test('the token is asked for before each request; a wrong one is 401', async () => {
    let asked = 0
    const token = () => {
      asked += 1
      return Promise.resolve(key)
    }
    const { uploadImage } = createClient({ baseUrl: `${halftone.origin}/`, token })
    await uploadImage(photo)
    expect(asked).toBeGreaterThanOrEqual(2)
    const stranger = createClient({ baseUrl: halftone.origin, token: 'wrong' })
    await expect(stranger.uploadImage(photo)).rejects.toMatchObject({ code: 'unauthenticated', status: 401 })
  })

  test('where anybody may upload, no token is needed', async () => {
    const { fetch, told } = faultFetch([])
    const { uploadImage } = createClient({ baseUrl: halftone.origin, fetch })
    expect(await uploadImage(photo)).toMatchObject({ state: 'ready' })
    const leaving = new AbortController()
    const aborted = uploadImage(photo, {
      signal: leaving.signal,
      onProgress: ({ phase }) => void (phase === 'uploading' && leaving.abort()),
    })
    await expect(aborted).rejects.toMatchObject({ name: 'AbortError' })
    const id = /upl_\w+/.exec(told().at(-1)!)?.[0]
    await expect.poll(() => ask(`/v1/uploads/${id}`)).toMatchObject({ state: 'deleted' })
  })

  test('an image of mine gets a new version, and giving up on that leaves the old one', async () => {
    const { uploadImage } = clientWith()
    const first = await uploadImage(photo)
    const second = await uploadImage(photo, { image: first.id })
    expect([second.id, second.version]).toEqual([first.id, 2])
    const leaving = new AbortController()
    // The answer that it is ready is lost, and then somebody loses patience.
    let confirmed = 0
    const hasty = clientWith([{ path: /confirm$/, times: 1, answer: 'lost' }], (request) => {
      if (/confirm$/.test(request.url) && ++confirmed === 2) leaving.abort()
      return request
    })
    const aborted = hasty.uploadImage(photo, { image: first.id, signal: leaving.signal })
    await expect(aborted).rejects.toMatchObject({ name: 'AbortError' })
    expect(hasty.requests('DELETE', /./)).toEqual([])
    expect(await ask(`/v1/images/${first.id}`)).toMatchObject({ state: 'ready', version: 3 })
  })
})
