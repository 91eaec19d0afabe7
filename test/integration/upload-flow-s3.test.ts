import { createHash } from 'node:crypto'
import { CreateBucketCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { send, sendForm } from '../contract/upload-target.ts'
import { ask } from '../helpers/ask.ts'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { hasS3Server, startS3Server, type S3Server } from '../helpers/s3-server.ts'
import { pathOf, startUploads, targetOf, until, type UploadServer } from '../helpers/upload-api.ts'

if (!hasS3Server) console.log('skipped: no S3 server here (apt-get install radosgw ceph-mon ceph-osd ceph-common)')

let store: S3Server
let client: S3Client
let server: UploadServer
const credentials = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'] as const

beforeAll(async () => {
  if (!hasS3Server) return
  store = await startS3Server()
  const { endpoint, region, accessKeyId, secretAccessKey } = store
  client = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } })
  await client.send(new CreateBucketCommand({ Bucket: 'uploads' }))
  process.env['AWS_ACCESS_KEY_ID'] = accessKeyId
  process.env['AWS_SECRET_ACCESS_KEY'] = secretAccessKey
  server = await startUploads({
    HALFTONE_UPLOADS: 's3://uploads/pictures',
    HALFTONE_UPLOAD_PARTS_FROM_MB: '5.25',
    HALFTONE_UPLOAD_PART_MB: '5.25',
    S3_ENDPOINT: endpoint,
    S3_REGION: region,
    S3_FORCE_PATH_STYLE: 'true',
  })
}, 120_000)
afterAll(async () => {
  for (const name of credentials) delete process.env[name]
  await server?.stop()
  client?.destroy()
  await store?.close()
})

async function keys(): Promise<string[]> {
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: 'uploads' }))
  return Contents.map(({ Key = '' }) => Key)
}

describe.skipIf(!hasS3Server)('the same flow against a bucket', () => {
  test('PUT goes straight to the store, and what is served comes from a key that no permission opens', async () => {
    const photo = await drawGradientJpeg(300, 200)
    const { id, upload, image } = await server.admin.presign(photo)
    expect(upload.url.startsWith(`${store.endpoint}/uploads/pictures/staging/${id}?`)).toBe(true)
    expect(await server.admin.confirm(id)).toMatchObject({ status: 409, json: { code: 'not_uploaded' } })
    const shorter = { headers: { 'content-length': String(photo.length - 1) } }
    expect((await send(upload, photo.subarray(1), shorter)).status).toBe(403)
    expect(await send(upload, photo)).toMatchObject({ status: 200 })
    const confirmed = await server.admin.confirm(id)
    expect(confirmed).toMatchObject({ status: 200, json: { state: 'ready', image: { id: image.id, width: 300 } } })
    await until(async () => (await keys()).every((key) => key.startsWith('pictures/objects/')), 'staging is cleared')
    const { url } = confirmed.json['image'] as { url: string }
    expect((await ask(server.halftone, targetOf(url), { accept: 'image/avif' })).headers.get('content-type')).toBe(
      'image/avif',
    )
    expect(await ask(server.halftone, pathOf(url))).toMatchObject({ status: 403, code: 'signature_required' })
    expect((await server.admin.delete(`/v1/images/${image.id}`)).status).toBe(204)
    expect(await keys()).toEqual([])
    expect((await ask(server.halftone, targetOf(url))).status).toBe(404)
  })

  test('other bytes than their SHA-256 says are found by confirming where the store takes them, and gone', async () => {
    const [photo, other] = await Promise.all([drawGradientJpeg(300, 200), drawGradientJpeg(200, 300)])
    const user = await server.user('swaps')
    const sha256 = createHash('sha256').update(photo).digest('hex')
    const { id, upload } = await user.presign(other, { sha256 })
    // This store knows no SHA-256: the header is signed, and means nothing to it.
    expect((await send(upload, other)).status).toBe(200)
    for (let again = 0; again < 2; again += 1) {
      expect(await user.confirm(id, 0)).toMatchObject({ status: 422, json: { code: 'checksum_mismatch' } })
    }
    expect((await keys()).filter((key) => key.includes(id))).toEqual([])
    expect((await user.get('/v1/usage')).json).toMatchObject({ openUploads: 0, reservedBytes: 0 })
    const { id: right, upload: signed } = await user.presign(photo, { sha256 })
    expect((await send(signed, photo)).status).toBe(200)
    expect((await user.confirm(right)).json).toMatchObject({ state: 'ready' })
  })

  test('by form, in parts, through this server, and not at all', async () => {
    const photo = await drawGradientJpeg(120, 80)
    const posted = await server.admin.presign(photo, { size: undefined })
    expect((await sendForm(posted.upload, photo)).status).toBe(204)
    expect((await server.admin.confirm(posted.id)).json).toMatchObject({ state: 'ready', size: photo.length })

    const noise = {
      create: { width: 1400, height: 1400, channels: 3, background: 'black', noise: { type: 'gaussian', sigma: 60 } },
    } as const
    const large = await sharp(noise).png({ compressionLevel: 0 }).toBuffer()
    const { id } = await server.admin.presign(large, { type: 'image/png', filename: 'a.png' })
    const { json } = await server.admin.post(`/v1/uploads/${id}/parts`, { numbers: [1, 2] })
    for (const part of json['parts'] as {
      number: number
      method: 'PUT'
      url: string
      headers: Record<string, string>
    }[]) {
      const bytes = large.subarray((part.number - 1) * 5_250_000, part.number * 5_250_000)
      expect((await send(part, bytes)).status).toBe(200)
    }
    expect((await server.admin.confirm(id)).json).toMatchObject({ state: 'ready', size: large.length })

    expect((await server.admin.form({}, photo)).json).toMatchObject({ state: 'ready' })
    const text = Buffer.from('no picture '.repeat(50))
    const refused = await server.admin.begin(text)
    expect(await server.admin.confirm(refused.id)).toMatchObject({ status: 422, json: { code: 'type_mismatch' } })
    await until(async () => (await keys()).every((key) => key.startsWith('pictures/objects/')), 'staging is cleared')
  })
})
