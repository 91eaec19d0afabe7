import { execFile } from 'node:child_process'
import { appendFile, mkdtemp, readdir, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createFileSource } from '../../../src/sources/file-source.ts'
import { canHold, type HeldOriginal } from '../../../src/sources/source.ts'

const run = promisify(execFile)
const signal = new AbortController().signal
const maxBytes = 1000

let folder = ''
beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'halftone-hold-')))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function hold(path: string): Promise<HeldOriginal | undefined> {
  const source = createFileSource({ name: 'test', folder, maxBytes })
  if (!canHold(source)) throw new Error('a folder cannot be held here')
  return source.hold(path, signal, { version: 'any', byteLength: 0, lastModifiedMs: 0 })
}

async function put(name: string, text: string): Promise<HeldOriginal> {
  await writeFile(join(folder, name), text)
  const held = await hold(`/${name}`)
  if (!held) throw new Error('nothing is held')
  return held
}

/** As a renderer sees it. */
const readElsewhere = async (held: HeldOriginal) => (await run('cat', [held.heldPath])).stdout

describe.skipIf(process.platform !== 'linux')('an original that is held', () => {
  test('can be read by another process and has the state that stat tells', async () => {
    const held = await put('a.jpg', 'first')
    const state = await createFileSource({ name: 'test', folder, maxBytes }).stat('/a.jpg', signal)
    expect(held).toMatchObject({ ...state })
    expect(await readElsewhere(held)).toBe('first')
    expect(await held.isUnchanged(signal)).toBe(true)
    expect((await held.read(signal))?.toString()).toBe('first')
    held.close()
  })

  test('stays what it was when another file takes its name', async () => {
    const held = await put('b.jpg', 'first')
    await writeFile(join(folder, 'b.new'), 'other')
    await rename(join(folder, 'b.new'), join(folder, 'b.jpg'))
    expect(await readElsewhere(held)).toBe('first')
    held.close()
  })

  test('does not vouch for bytes that were changed in place', async () => {
    const held = await put('c.jpg', 'first')
    await appendFile(join(folder, 'c.jpg'), ' and more')
    expect(await held.isUnchanged(signal)).toBe(false)
    expect(await held.read(signal)).toBeUndefined()
    held.close()
  })

  test('vouches for nothing once it is closed: its number may be that of another file', async () => {
    const held = await put('d.jpg', 'first')
    held.close()
    expect(await held.isUnchanged(signal)).toBe(false)
  })

  test('is refused and absent where a read would be, and leaves nothing open', async () => {
    const before = (await readdir('/proc/self/fd')).length
    await symlink('/etc/hostname', join(folder, 'out.jpg'))
    await writeFile(join(folder, 'large.jpg'), 'x'.repeat(maxBytes + 1))
    expect(await hold('/out.jpg')).toBeUndefined()
    expect(await hold('/missing.jpg')).toBeUndefined()
    await expect(hold('/large.jpg')).rejects.toMatchObject({ code: 'source_too_large' })
    await expect(hold('/.git/x.jpg')).rejects.toMatchObject({ code: 'path_invalid' })
    await expect.poll(async () => (await readdir('/proc/self/fd')).length).toBeLessThanOrEqual(before)
  })
})
