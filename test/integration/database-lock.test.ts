import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, onTestFinished, test } from 'vitest'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { startUploads } from '../helpers/upload-api.ts'

test('while another process holds the lock of the database, what is read is answered, and what is written waits', async () => {
  const server = await startUploads()
  onTestFinished(() => server.stop())
  const { id, image } = await server.admin.upload(await drawGradientJpeg(320, 240), { visibility: 'public' })
  const other = new Database(join(server.dataDir, 'halftone.sqlite'), { timeout: 1000 })
  onTestFinished(() => void other.close())
  other.exec('BEGIN IMMEDIATE')
  const lockedMs = performance.now()
  const intent = { filename: 'a.jpg', type: 'image/jpeg', size: 1000 }
  const presigns = Array.from({ length: 6 }, () => server.admin.post('/v1/uploads', intent))
  presigns.forEach((presign) => void presign.catch(() => undefined))
  let answers = 0
  while (performance.now() - lockedMs < 3000) {
    const startedMs = performance.now()
    const statuses = await Promise.all([
      server.admin.get(`/v1/uploads/${id}`).then(({ status }) => status),
      server.admin.get(`/v1/images/${image.id}`).then(({ status }) => status),
      fetch(`${server.origin}/u/${image.id}/1/photo.jpg?w=${64 + answers}`).then(({ status }) => status),
      fetch(`${server.origin}/u/${image.id}?w=32`).then(({ status }) => status),
    ])
    expect(statuses).toEqual([200, 200, 200, 200])
    expect(performance.now() - startedMs).toBeLessThan(1000)
    answers += 1
  }
  expect(answers).toBeGreaterThan(3)
  other.exec('COMMIT')
  for (const answer of await Promise.all(presigns)) expect([201, 503]).toContain(answer.status)
  expect((await presigns[0])?.status).toBe(201)
}, 30_000)

test('a write that waited for too long is answered with 503 and when to come again', async () => {
  const server = await startUploads()
  onTestFinished(() => server.stop())
  const other = new Database(join(server.dataDir, 'halftone.sqlite'), { timeout: 1000 })
  onTestFinished(() => void other.close())
  other.exec('BEGIN IMMEDIATE')
  const startedMs = performance.now()
  const intent = { filename: 'a.jpg', type: 'image/jpeg', size: 1000 }
  const answers = await Promise.all(Array.from({ length: 4 }, () => server.admin.post('/v1/uploads', intent)))
  expect(performance.now() - startedMs).toBeLessThan(8000)
  for (const { status, headers, json } of answers) {
    expect([status, json['code']]).toEqual([503, 'overloaded'])
    expect(Number(headers['retry-after'])).toBeGreaterThan(0)
  }
  other.exec('ROLLBACK')
  expect((await server.admin.post('/v1/uploads', intent)).status).toBe(201)
}, 30_000)
