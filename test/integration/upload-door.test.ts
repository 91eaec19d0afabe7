import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { startUploads, until, type UploadServer } from '../helpers/upload-api.ts'

let server: UploadServer
let photo: Buffer
beforeAll(async () => {
  server = await startUploads({})
  photo = await drawGradientJpeg(64, 48)
})
afterAll(() => server.stop())

const put = async ({ url, headers }: { url: string; headers: Record<string, string> }, body = photo) => {
  const answer = await fetch(url, { method: 'PUT', headers, body: new Uint8Array(body) })
  return [answer.status, ((await answer.json()) as { code: string }).code]
}

const stored = () => {
  const folder = join(server.halftone.dataDir, 'uploads', 'staging')
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
}

test('a permission ends with its upload: what was taken back takes no bytes that no quota counts', async () => {
  const { id, upload } = await server.admin.presign(photo)
  expect((await server.admin.delete(`/v1/uploads/${id}`)).status).toBe(204)
  expect(await put(upload as never)).toEqual([410, 'expired'])
  expect(stored()).toEqual([])
})

test('bytes that were confirmed are not sent again', async () => {
  const { upload } = await server.admin.upload(photo).then(async () => {
    const presigned = await server.admin.begin(photo)
    await server.admin.confirm(presigned.id)
    return presigned
  })
  expect(await put(upload as never)).toEqual([412, 'already_uploaded'])
  // It is told to be ready a moment before what was staged is cleared away.
  await until(() => stored().length === 0, 'nothing is staged')
})
