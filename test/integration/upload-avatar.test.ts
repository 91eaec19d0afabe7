import sharp from 'sharp'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { drawLake } from '../../scripts/drawing/draw-lake.ts'
import { sharpOf } from '../../scripts/drawing/raster.ts'
import { drawExif, jpegSegment, planted } from '../helpers/draw-metadata.ts'
import { makePictureFolder } from '../helpers/picture-folder.ts'
import { startUploads, type UploadServer } from '../helpers/upload-api.ts'

const viewers = 1000
const atOnce = 50
const repeats = 200
const warmUps = 20
const maxAvatarBytes = 20_000
const side = 256
/** Mean difference of a channel, of 255: above what AVIF does to grain, far below what a turned picture has. */
const samePicture = 12

let server: UploadServer
let folder: ReturnType<typeof makePictureFolder>
let upright: Buffer
let photo: Buffer

beforeAll(async () => {
  upright = await sharpOf(drawLake(3024, 4032)).jpeg({ quality: 95 }).toBuffer()
  // As phones store it: lying on its side, with a tag that says so, beside where it was taken and by which camera.
  const stored = await sharp(upright).rotate(270).jpeg({ quality: 95 }).toBuffer()
  const exif = jpegSegment(0xe1, 'Exif\0\0', await drawExif(6))
  photo = Buffer.concat([stored.subarray(0, 2), exif, stored.subarray(2)])
  folder = makePictureFolder({ 'photo.jpg': photo })
  server = await startUploads({ HALFTONE_SOURCE: folder.folder })
}, 60_000)
afterAll(async () => {
  await server?.stop()
  folder?.remove()
})

const headers = { accept: 'image/avif,image/webp,*/*' }

async function look(target: string, more: Record<string, string> = {}) {
  const response = await fetch(`${server.origin}${target}`, { headers: { ...headers, ...more } })
  return { response, body: Buffer.from(await response.arrayBuffer()) }
}

async function medianMsOf(target: string): Promise<number> {
  const times: number[] = []
  for (let turn = 0; turn < repeats + warmUps; turn += 1) {
    const startedMs = performance.now()
    await look(target)
    if (turn >= warmUps) times.push(performance.now() - startedMs)
  }
  return times.sort((a, b) => a - b)[repeats >> 1] ?? 0
}

async function countRenders(): Promise<number> {
  const text = await (await fetch(`${server.origin}/-/metrics`)).text()
  const counts = text.matchAll(/^halftone_render_duration_seconds_count\S* (\d+)$/gm)
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0)
}

test('a 12 MP phone photo becomes an avatar, rendered once for a thousand viewers', { timeout: 120_000 }, async () => {
  expect(await sharp(photo).metadata()).toMatchObject({ width: 4032, height: 3024, orientation: 6 })
  const { image } = await server.admin.upload(photo, { kind: 'avatar', visibility: 'public', subject: 'user 7' })
  expect(image).toMatchObject({ state: 'ready', kind: 'avatar', width: 3024, height: 4032, visibility: 'public' })
  const target = `/u/${image.id}/1/photo.jpg?w=${side}&h=${side}&fit=crop&auto=format`
  const before = await countRenders()

  const etags = new Set<string | null>()
  const statuses = new Map<number, number>()
  let next = 0
  const view = async () => {
    while (next < viewers) {
      next += 1
      const { response } = await look(target)
      statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1)
      etags.add(response.headers.get('etag'))
    }
  }
  await Promise.all(Array.from({ length: atOnce }, view))
  expect([...statuses]).toEqual([[200, viewers]])
  expect(etags.size).toBe(1)
  expect((await countRenders()) - before).toBe(1)

  const { response, body } = await look(target)
  expect(response.headers.get('content-type')).toBe('image/avif')
  expect(body.length).toBeLessThan(maxAvatarBytes)
  await expectClean(body)
  expect(await differenceFrom(body, await reference())).toBeLessThan(samePicture)
  expect(
    await differenceFrom(
      body,
      await sharp(await reference())
        .rotate(180)
        .png()
        .toBuffer(),
    ),
  ).toBeGreaterThan(2 * samePicture)

  const revalidated = await look(target, { 'if-none-match': response.headers.get('etag') ?? '' })
  expect(revalidated.response.status).toBe(304)
  expect(revalidated.body.length).toBe(0)
  expect((await countRenders()) - before).toBe(1)
  // Told, not asserted: a busy machine says nothing.
  const folderHit = target.replace(/^[^?]*/, '/photo.jpg')
  const [uploads, folders] = [await medianMsOf(target), await medianMsOf(folderHit)]
  console.log(`p50 of a repeat hit: ${uploads.toFixed(2)} ms on /u/, ${folders.toFixed(2)} ms from a folder`)
  console.log(`the avatar has ${body.length} bytes of the ${photo.length} that were uploaded`)
})

async function expectClean(body: Buffer): Promise<void> {
  const { exif, xmp, iptc, orientation, format } = await sharp(body).metadata()
  expect({ exif, xmp, iptc, format }).toEqual({ exif: undefined, xmp: undefined, iptc: undefined, format: 'heif' })
  expect(orientation ?? 1).toBe(1)
  for (const secret of Object.values(planted)) expect(body.includes(secret), secret).toBe(false)
}

function reference(): Promise<Buffer> {
  return sharp(upright).resize(side, side, { fit: 'cover' }).png().toBuffer()
}

async function differenceFrom(picture: Buffer, other: Buffer): Promise<number> {
  const [one, two] = await Promise.all([picture, other].map((file) => sharp(file).removeAlpha().raw().toBuffer()))
  if (one === undefined || two?.length !== one.length) return Infinity
  return one.reduce((sum, value, index) => sum + Math.abs(value - (two[index] ?? 0)), 0) / one.length
}
