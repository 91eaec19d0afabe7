import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { createBlobRoutes } from '../../src/http/blob-routes.ts'
import { createPages } from '../../src/http/create-pages.ts'
import { bodyLimits, type BodyLimits } from '../../src/http/receive-body.ts'
import { createDiskTarget, type DiskTarget } from '../../src/uploads/targets/disk-target.ts'
import type { PutPermission, SignedRequest } from '../../src/uploads/targets/upload-target.ts'
import {
  describeUploadTarget,
  newKey,
  patient,
  permission,
  send,
  sendForm,
  sha256Of,
} from '../contract/upload-target.ts'

const delivery = { errorMaxAgeSeconds: 60, retryAfterSeconds: 5, corsOrigin: '*' }

/** A disk target and the server that answers for it. */
async function openDisk(limits: Partial<BodyLimits> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'halftone-blobs-'))
  const at = { origin: '' }
  const target: DiskTarget = createDiskTarget({
    folder,
    publicOrigin: () => at.origin,
    secret: 'secret',
    now: Date.now,
  })
  const routes = createBlobRoutes({ door: target.door, limits: { ...bodyLimits, ...limits } })
  const server: Server = createServer(createPages([routes], { delivery, onError: () => undefined }))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  at.origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    ...{ folder, target, server },
    temporaryFiles: () => readdir(join(folder, 'tmp')),
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await rm(folder, { recursive: true, force: true })
    },
  }
}

type Disk = Awaited<ReturnType<typeof openDisk>>

describe('the disk target and its door', () => {
  let disk: Disk
  beforeAll(async () => {
    disk = await openDisk()
  })
  afterAll(() => disk.close())

  describeUploadTarget('disk', () => ({
    ...{ target: disk.target, enforcesChecksums: true },
    ...{ tellsChecksums: true, postIsOnce: true },
  }))

  const bytes = randomBytes(100_000)
  const problem = (text: string) => JSON.parse(text) as { code: string; status: number; detail?: string }
  const codeOf = async (sent: Promise<{ text: string }>) => problem((await sent).text).code
  const sign = (changes: Partial<PutPermission> = {}) => disk.target.signPut(permission(bytes, changes), patient())

  test('answers in problem documents with the codes of the table', async () => {
    const signed = await sign()
    const answers = {
      size_mismatch: send(signed, bytes.subarray(1), { headers: { 'content-length': '99999' } }),
      too_large: send(signed, Buffer.alloc(100_001), { headers: { 'content-length': '100001' } }),
      type_mismatch: send(signed, bytes, { headers: { 'content-type': 'image/png' } }),
      signature_invalid: send(signed, bytes, { url: signed.url.replace('length=100000', 'length=100001') }),
      signature_required: send(signed, bytes, { url: signed.url.replace(/\?.*/, '') }),
      checksum_mismatch: send(signed, randomBytes(100_000)),
    }
    for (const [code, sent] of Object.entries(answers)) expect(await codeOf(sent)).toBe(code)
    const past = await sign({ expiresInSeconds: -2 })
    expect(await codeOf(send(past, bytes))).toBe('signature_expired')
    expect((await send(signed, bytes)).status).toBe(200)
    expect(await codeOf(send(signed, bytes))).toBe('already_uploaded')
    const { status, text } = await send(signed, bytes)
    expect(problem(text)).toMatchObject({ status, code: 'already_uploaded' })
    expect(text).not.toContain('sig=')
  })

  test('a condition that stands twice, or signed for the other method, is no permission', async () => {
    const signed = await sign()
    expect(await codeOf(send(signed, bytes, { url: `${signed.url}&length=100000` }))).toBe('signature_invalid')
    const form = await disk.target.signPost(permission(bytes), patient())
    const { key = '', ...fields } = form.fields ?? {}
    const url = `${form.url}/${key}?${new URLSearchParams(fields).toString()}`
    expect(await codeOf(send(signed, bytes, { url }))).toBe('signature_invalid')
  })

  test('a checksum may be written in capitals', async () => {
    const signed = await sign({ sha256: sha256Of(bytes).toUpperCase() })
    expect((await send(signed, bytes)).status).toBe(200)
  })

  test('a reader that leaves in the middle gets the reason', async () => {
    const key = newKey('objects')
    await disk.target.write(key, Buffer.alloc(40 << 20), 'image/jpeg', patient())
    const leaving = new AbortController()
    setTimeout(() => leaving.abort(new Error('left')), 1)
    await expect(disk.target.read(key, { maxBytes: 1e9 }, leaving.signal)).rejects.toThrow('left')
  })

  test('a permission that expires while its bytes come is good to the end', async () => {
    const signed = await sign({ expiresInSeconds: 1 })
    const { socket, answer } = await beginPut(signed)
    socket.write(bytes.subarray(0, 50_000))
    await sleep(2300)
    socket.write(bytes.subarray(50_000))
    expect(await answer).toContain('200 OK')
    socket.destroy()
  })

  test('a client that goes away in the middle leaves nothing, and may come again', async () => {
    const signed = await sign()
    const { socket } = await beginPut(signed)
    socket.write(bytes.subarray(0, 50_000))
    await vi.waitFor(async () => expect(await disk.temporaryFiles()).toHaveLength(1))
    socket.resetAndDestroy()
    await vi.waitFor(async () => expect(await disk.temporaryFiles()).toEqual([]))
    expect((await send(signed, bytes)).status).toBe(200)
  })

  test('a client that is refused gets its answer while it still sends, and keeps the connection', async () => {
    const large = permission(Buffer.alloc(5 << 20), { sha256: sha256Of(Buffer.from('other')) })
    const signed = await disk.target.signPut(large, patient())
    const tampered = { ...signed, url: signed.url.replace('image', 'imagf') }
    for (let round = 0; round < 3; round += 1) {
      expect((await send(tampered, Buffer.alloc(5 << 20))).status).toBe(403)
    }
  })

  test('one that stops sending is given up', async () => {
    const slow = await openDisk({ idleTimeoutMs: 200, drainTimeoutMs: 200 })
    const { socket, answer } = await beginPut(await slow.target.signPut(permission(bytes), patient()))
    socket.write(bytes.subarray(0, 1000))
    expect(await answer).toContain('request_timeout')
    await vi.waitFor(() => expect(socket.destroyed).toBe(true))
    expect(await slow.temporaryFiles()).toEqual([])
    await slow.close()
  })

  test('one that sends a byte now and then is given up, too', async () => {
    const slow = await openDisk({ idleTimeoutMs: 200, totalTimeoutMs: 500, drainTimeoutMs: 200 })
    const { socket, answer } = await beginPut(await slow.target.signPut(permission(bytes), patient()))
    const drip = setInterval(() => socket.write('x'), 50)
    expect(await answer).toContain('request_timeout')
    clearInterval(drip)
    await vi.waitFor(async () => expect(await slow.temporaryFiles()).toEqual([]))
    await slow.close()
  })

  test('one that was refused may not go on sending for ever', async () => {
    const strict = await openDisk({ drainTimeoutMs: 200 })
    const signed = await strict.target.signPut(permission(bytes), patient())
    const { socket, answer } = await beginPut({ ...signed, url: signed.url.replace('length=1', 'length=2') })
    expect(await answer).toContain('signature_invalid')
    await vi.waitFor(() => expect(socket.destroyed).toBe(true))
    await strict.close()
  })

  describe('forms', () => {
    const signForm = (changes: Partial<PutPermission> = {}) =>
      disk.target.signPost(permission(bytes, { sha256: undefined, ...changes }), patient())
    const postRaw = async (url: string, body: string | Buffer, type = 'multipart/form-data; boundary=xyz') => {
      const sent = await send({ method: 'POST', url, headers: { 'content-type': type } }, Buffer.from(body))
      return { status: sent.status, code: sent.text === '' ? undefined : problem(sent.text).code }
    }
    const fieldsOf = ({ fields = {} }: SignedRequest) =>
      Object.entries(fields).map(
        ([name, value]) => `--xyz\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
      )
    const fileHead = '--xyz\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'

    test('too large, expired, tampered, twice: each by its code', async () => {
      const tooSmall = await signForm({ byteLength: 99_999 })
      expect(problem((await sendForm(tooSmall, bytes)).text).code).toBe('too_large')
      const past = await signForm({ expiresInSeconds: -2 })
      expect(problem((await sendForm(past, bytes)).text).code).toBe('signature_expired')
      const signed = await signForm()
      const longer = await sendForm(signed, bytes, { length: '999999' })
      expect(problem(longer.text).code).toBe('signature_invalid')
      expect((await sendForm(signed, bytes)).status).toBe(204)
      expect(problem((await sendForm(signed, bytes)).text).code).toBe('already_uploaded')
    })

    test('one that breaks off in the file leaves nothing', async () => {
      const asked = permission(bytes, { sha256: undefined })
      const signed = await disk.target.signPost(asked, patient())
      const body = `${fieldsOf(signed).join('')}${fileHead}half of the fi`
      expect(await postRaw(signed.url, body)).toEqual({ status: 400, code: 'bad_request' })
      expect(await disk.target.head(asked.key, patient())).toBeUndefined()
      // Also where everything comes at once, and after the file.
      for (const cut of [fieldsOf(signed).join(''), `${fieldsOf(signed).join('')}${fileHead}`, `${body}\r\n--xyz`]) {
        expect(await postRaw(signed.url, cut)).toEqual({ status: 400, code: 'bad_request' })
      }
      expect(await disk.target.head(asked.key, patient())).toBeUndefined()
      expect(await postRaw(signed.url, `${body}le\r\n--xyz--\r\n`)).toEqual({ status: 204, code: undefined })
    })

    test('no form, an empty one, one without a file, and one whose file comes first are refused', async () => {
      const { url, ...signed } = { ...(await signForm()) }
      const bad = { status: 400, code: 'bad_request' }
      expect(await postRaw(url, '{}', 'application/json')).toEqual(bad)
      expect(await postRaw(url, '', 'multipart/form-data')).toEqual(bad)
      expect(await postRaw(url, '')).toEqual(bad)
      expect(await postRaw(url, '--xyz--\r\n')).toEqual(bad)
      const fields = fieldsOf({ url, ...signed }).join('')
      expect(await postRaw(url, `${fields}--xyz--\r\n`)).toEqual(bad)
      expect(await postRaw(url, `${fields}${fields}${fileHead}a\r\n--xyz--\r\n`)).toEqual(bad)
      const fileFirst = await postRaw(url, `${fileHead}a\r\n${fields}--xyz--\r\n`)
      // What stands behind the file counts for nothing, whichever of the two is seen first.
      expect([400, 403]).toContain(fileFirst.status)
    })
  })

  test('nothing is left of all that was refused', async () => {
    await vi.waitFor(async () => expect(await disk.temporaryFiles()).toEqual([]))
  })
})

describe('bodies do not stay in memory', () => {
  test('twenty uploads of 20 MB at once, from clients of another process', async () => {
    const disk = await openDisk()
    const size = 20 << 20
    const signed = await Promise.all(
      Array.from({ length: 20 }, () =>
        disk.target.signPut({ ...permission(Buffer.alloc(0)), byteLength: size, sha256: undefined }, patient()),
      ),
    )
    const before = process.memoryUsage()
    let peakBytes = 0
    const watch = setInterval(() => {
      const { arrayBuffers, heapUsed } = process.memoryUsage()
      peakBytes = Math.max(peakBytes, arrayBuffers - before.arrayBuffers + heapUsed - before.heapUsed)
    }, 10)
    const clients = fork(join(import.meta.dirname, 'blob-routes-clients.ts'), { stdio: 'inherit' })
    clients.send({ signed, size })
    const [statuses] = (await once(clients, 'message')) as [number[]]
    clearInterval(watch)
    console.log(`20 x 20 MB at once: at most ${(peakBytes / 1e6).toFixed(0)} MB more on the heap and in buffers`)
    expect(statuses).toEqual(Array.from({ length: 20 }, () => 200))
    expect(peakBytes).toBeLessThan(100e6)
    await disk.close()
  })
})

describe('what a crash leaves', () => {
  test('everything that a killed process said it wrote is there, and whole', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'halftone-crash-'))
    const origin = 'http://localhost'
    const target = createDiskTarget({ folder, publicOrigin: () => origin, secret: 'secret', now: Date.now })
    for (let round = 0; round < 6; round += 1) {
      const child = fork(join(import.meta.dirname, 'blob-routes-writer.ts'), [folder], { stdio: 'inherit' })
      const told: { key: string; sha256: string }[] = []
      child.on('message', (message) => told.push(message as (typeof told)[number]))
      await once(child, 'message')
      await sleep(20 + Math.random() * 150)
      child.kill('SIGKILL')
      await once(child, 'exit')
      for (const { key, sha256 } of told) {
        const bytes = await target.read(key, { maxBytes: 1e9 }, patient())
        expect(bytes && sha256Of(bytes)).toBe(sha256)
      }
      // What was not told of may be there or not, but never in part: its name says what it holds.
      for (const { key } of (await target.list('objects/', undefined, patient())).objects) {
        const bytes = await target.read(key, { maxBytes: 1e9 }, patient())
        expect(bytes && sha256Of(bytes).slice(0, 32)).toBe(key.slice(-32))
      }
    }
    await rm(folder, { recursive: true, force: true })
  })

  test('temporary files are removed at the next start once they are old, and only then', async () => {
    const disk = await openDisk()
    await disk.target.write(newKey(), Buffer.from('a'), 'a/b', patient())
    const [old, fresh] = [join(disk.folder, 'tmp', 'gone-1'), join(disk.folder, 'tmp', 'gone-2')]
    await mkdir(old)
    await writeFile(join(old, 'part'), 'x')
    await writeFile(fresh, 'x')
    const longAgo = new Date(Date.now() - 2 * 3_600_000)
    await utimes(old, longAgo, longAgo)
    const again = createDiskTarget({
      ...{ folder: disk.folder, publicOrigin: () => '', secret: 'secret', now: Date.now },
    })
    await again.write(newKey(), Buffer.from('a'), 'a/b', patient())
    expect(await disk.temporaryFiles()).toEqual(['gone-2'])
    await disk.close()
  })
})

/** The head of a request whose body is still to come, and the answer as text. */
async function beginPut(signed: SignedRequest): Promise<{ socket: Socket; answer: Promise<string> }> {
  const { hostname, port, pathname, search } = new URL(signed.url)
  const socket = connect(Number(port), hostname)
  await once(socket, 'connect')
  const answer = new Promise<string>((resolve) => {
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString()
      if (/\r\n\r\n(?:[^]*\n)?$/.test(text)) resolve(text)
    })
    socket.on('close', () => resolve(text))
    socket.on('error', () => undefined)
  })
  const headers = Object.entries(signed.headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.write(`PUT ${pathname}${search} HTTP/1.1\r\nHost: ${hostname}\r\n${headers.join('')}\r\n`)
  return { socket, answer }
}
