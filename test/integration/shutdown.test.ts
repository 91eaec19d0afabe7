import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { makePictureFolder } from '../helpers/picture-folder.ts'
import { spawnHalftone } from '../helpers/spawn-halftone.ts'
import { startHalftone } from '../helpers/start-halftone.ts'
import { apiAs } from '../helpers/upload-api.ts'
import { startWebhookReceiver, webhookSecret } from '../helpers/webhook-receiver.ts'
import { freePort } from '../helpers/free-port.ts'

test('connections that never said anything do not hold up the end', async () => {
  const halftone = await startHalftone({
    HALFTONE_SHUTDOWN_TIMEOUT_SECONDS: '20',
    HALFTONE_SOURCE: import.meta.dirname,
  })
  const silent = connect(Number(new URL(halftone.origin).port), '127.0.0.1')
  await once(silent, 'connect')
  const closed = once(silent, 'close')
  const stopped = halftone.stop()
  const first = await Promise.race([
    stopped.then(() => 'stopped'),
    new Promise((resolve) => setTimeout(resolve, 8000, 'still waiting')),
  ])
  expect(first).toBe('stopped')
  await closed
})

test('what was rendered last is on disk when the end has come', async () => {
  const originals = makePictureFolder({ 'a.jpg': await drawGradientJpeg(200, 100) })
  const dataDir = mkdtempSync(join(tmpdir(), 'halftone-shutdown-'))
  const settings = { HALFTONE_SOURCE: originals.folder, HALFTONE_DATA_DIR: dataDir }
  const first = await startHalftone(settings)
  await Promise.all(
    Array.from({ length: 8 }, (_, index) =>
      first.get(`/a.jpg?w=${100 + index}`).then((response) => response.arrayBuffer()),
    ),
  )
  await first.stop()
  const second = await startHalftone(settings)
  for (let index = 0; index < 8; index += 1) {
    const response = await second.get(`/a.jpg?w=${100 + index}`)
    await response.arrayBuffer()
    expect(response.headers.get('cache-status')).toBe('halftone; hit; detail=disk')
  }
  await second.stop()
  originals.remove()
  rmSync(dataDir, { recursive: true, force: true })
})

test('while it drains, it says that it is not ready', async () => {
  const originals = makePictureFolder({ 'a.jpg': await drawGradientJpeg(1600, 1200) })
  const metricsPort = await freePort()
  const halftone = await startHalftone({
    HALFTONE_SOURCE: originals.folder,
    HALFTONE_METRICS_PORT: String(metricsPort),
    HALFTONE_AVIF_EFFORT: '4',
  })
  const ready = async () =>
    ((await (await fetch(`http://127.0.0.1:${metricsPort}/-/ready`)).json()) as { reasons: string[] }).reasons
  await expect.poll(ready, { timeout: 10_000 }).toEqual([])
  const running = halftone.get('/a.jpg?w=1200&fm=avif').then((response) => response.arrayBuffer())
  await new Promise((resolve) => setTimeout(resolve, 150))
  const stopped = halftone.stop()
  expect(await ready()).toContain('closing')
  await running
  await stopped
  originals.remove()
})

test('who waits for an upload, or follows it, is answered at once when the end comes', async () => {
  const key = 'key-of-at-least-sixteen'
  const halftone = await startHalftone({ HALFTONE_API_KEYS: `shop:${key}`, HALFTONE_SHUTDOWN_TIMEOUT_SECONDS: '20' })
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  const body = JSON.stringify({ filename: 'a.jpg', size: 10, type: 'image/jpeg' })
  const presigned = await fetch(`${halftone.origin}/v1/uploads`, { method: 'POST', headers, body })
  const { id } = (await presigned.json()) as { id: string }
  const waiting = halftone.get(`/v1/uploads/${id}`, { ...headers, prefer: 'wait=30' })
  const following = await halftone.get(`/v1/uploads/${id}/events`, headers)
  await sleep(200)
  const startedMs = performance.now()
  await halftone.stop()
  expect(performance.now() - startedMs).toBeLessThan(10_000)
  expect(await (await waiting).json()).toMatchObject({ id, state: 'pending' })
  expect(await following.text()).toContain('event: pending')
})

test('a request, a webhook and what else runs share one deadline', async () => {
  const key = 'key-of-at-least-sixteen'
  const receiver = await startWebhookReceiver(() => 'never')
  const halftone = await startHalftone({
    HALFTONE_API_KEYS: `shop:${key}`,
    HALFTONE_SHUTDOWN_TIMEOUT_SECONDS: '3',
    HALFTONE_WEBHOOK_URL: receiver.url,
    HALFTONE_WEBHOOK_SECRET: webhookSecret,
    HALFTONE_ALLOW_ADDRESSES: '127.0.0.0/8',
  })
  await apiAs(halftone.origin, key).upload(await drawGradientJpeg(100, 80))
  await expect.poll(() => receiver.received.length).toBe(1)
  // Never complete: it is cut when the time is over, and so is the attempt, not one after the other.
  const socket = connect(Number(new URL(halftone.origin).port), '127.0.0.1').on('error', () => {})
  socket.write('POST /v1/uploads HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n')
  socket.write(`Authorization: Bearer ${key}\r\nContent-Type: application/json\r\n\r\n{`)
  await sleep(200)
  const startedMs = performance.now()
  await halftone.stop()
  const tookMs = performance.now() - startedMs
  socket.destroy()
  await receiver.close()
  expect(tookMs).toBeGreaterThan(2500)
  expect(tookMs).toBeLessThan(5500)
  expect(halftone.logLines.filter(({ event }) => event === 'close_failed')).toEqual([])
})

test('Ctrl-C that reaches it twice, from the terminal and through a launcher, still lets running answers finish', async () => {
  const answering = slowOrigin()
  const dataDir = mkdtempSync(join(tmpdir(), 'halftone-ctrl-c-'))
  const origin = createServer((_, response) => answering.take(response))
  await once(origin.listen(0, '127.0.0.1'), 'listening')
  const { port } = origin.address() as AddressInfo
  const start = () =>
    spawnHalftone({
      HALFTONE_SOURCE: `http://127.0.0.1:${port}/`,
      HALFTONE_ALLOW_ADDRESSES: '127.0.0.0/8',
      HALFTONE_DATA_DIR: dataDir,
    })
  try {
    const patient = await start()
    const asked = fetch(`${patient.origin}/a.jpg?w=40`)
    const original = await answering.next()
    const ended = patient.kill('SIGINT')
    void patient.kill('SIGINT')
    await expect.poll(() => patient.output()).toContain('"closing"')
    original.end(await drawGradientJpeg(80, 60))
    expect((await asked).status).toBe(200)
    expect(await ended).toEqual({ code: 0, signal: null })

    const hurried = await start()
    // The first original is kept.
    const cut = fetch(`${hurried.origin}/b.jpg?w=40`).catch(() => 'cut')
    await answering.next()
    void hurried.kill('SIGINT')
    await sleep(1500)
    expect(await hurried.kill('SIGINT')).toEqual({ code: 130, signal: null })
    expect(await cut).toBe('cut')
  } finally {
    origin.closeAllConnections()
    origin.close()
    rmSync(dataDir, { recursive: true, force: true })
  }
}, 60_000)

/** Requests to an origin, answered by whoever takes them. */
function slowOrigin() {
  const waiting: ServerResponse[] = []
  const takers: ((response: ServerResponse) => void)[] = []
  return {
    take(response: ServerResponse) {
      const taker = takers.shift()
      if (taker) taker(response.writeHead(200, { 'content-type': 'image/jpeg' }))
      else waiting.push(response.writeHead(200, { 'content-type': 'image/jpeg' }))
    },
    next: () =>
      new Promise<ServerResponse>((resolve) => {
        const response = waiting.shift()
        if (response) resolve(response)
        else takers.push(resolve)
      }),
  }
}
