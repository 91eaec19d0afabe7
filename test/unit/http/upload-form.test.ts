import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test, vi } from 'vitest'
import { readUploadForm } from '../../../src/http/upload-form.ts'

const headers = { 'content-type': 'multipart/form-data; boundary=xyz' }
const signal = new AbortController().signal
const head = Buffer.from('--xyz\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n')

describe('a form that streams', () => {
  test('is read no faster than its file is taken', async () => {
    let pulled = 0
    const body = async function* () {
      yield head
      for (let chunk = 0; chunk < 800; chunk += 1) {
        pulled += 64 * 1024
        await sleep(0)
        yield Buffer.alloc(64 * 1024)
      }
      yield Buffer.from('\r\n--xyz--\r\n')
    }
    const total = await readUploadForm(headers, body(), signal, async (_fields, file) => {
      let taken = 0
      for await (const chunk of file) {
        if (taken === 0) await sleep(300)
        if (taken === 0) expect(pulled).toBeLessThan(1_000_000)
        taken += chunk.length
      }
      return taken
    })
    expect(total).toBe(800 * 64 * 1024)
  })

  test('that is given up tells its reader, even one that does not read', async () => {
    const leaving = new AbortController()
    const body = async function* () {
      yield Buffer.concat([head, Buffer.alloc(1000)])
      await new Promise(() => undefined)
    }
    let told: unknown
    const reading = readUploadForm(headers, body(), leaving.signal, async (_fields, _file, ended) => {
      await new Promise((resolve) => ended.addEventListener('abort', resolve))
      told = ended.reason
    })
    setTimeout(() => leaving.abort(new Error('left')), 20)
    await expect(reading).rejects.toThrow('left')
    await vi.waitFor(() => expect(told).toMatchObject({ message: 'left' }))
  })

  test('of too many or too long fields is refused', async () => {
    const field = (name: string, value: string) =>
      `--xyz\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
    const read = async (fields: string) => {
      const body = async function* () {
        yield Buffer.from(`${fields}${head.toString()}a\r\n--xyz--\r\n`)
        await sleep(0)
      }
      return readUploadForm(headers, body(), signal, (known) => Promise.resolve(known.size))
    }
    expect(await read(field('a', '1') + field('b', '2'))).toBe(2)
    await expect(read(field('a', 'x'.repeat(5000)))).rejects.toMatchObject({ code: 'bad_request' })
    await expect(read(field('a', '1') + field('a', '2'))).rejects.toMatchObject({ code: 'bad_request' })
    expect(await read(Array.from({ length: 19 }, (_, at) => field(`f${at}`, 'x')).join(''))).toBe(19)
  })
})
