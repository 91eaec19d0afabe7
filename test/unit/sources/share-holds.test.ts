import { mkdtemp, readFile, readdir, realpath, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createFileSource } from '../../../src/sources/file-source.ts'
import { shareHolds } from '../../../src/sources/share-holds.ts'
import { canHold, type HeldOriginal, type HoldingSource } from '../../../src/sources/source.ts'

const patient = new AbortController().signal

let folder = ''
let source: HoldingSource
beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'halftone-share-')))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function put(name: string, text: string) {
  await writeFile(join(folder, `${name}.new`), text)
  await rename(join(folder, `${name}.new`), join(folder, name))
  const state = await source.stat(`/${name}`, patient)
  if (!state) throw new Error('nothing is there')
  return state
}

const openFiles = async () => (await readdir('/proc/self/fd')).length
const textOf = async (held: HeldOriginal | undefined) => held && (await readFile(held.heldPath, 'utf8'))

describe.skipIf(process.platform !== 'linux')('originals that several hold', () => {
  beforeAll(() => {
    const created = createFileSource({ name: 'test', folder, maxBytes: 1000 })
    if (!canHold(created)) throw new Error('a folder cannot be held here')
    source = created
  })

  test('those who want one version at once have one open file, until the last has closed it', async () => {
    const known = await put('a.jpg', 'first')
    const before = await openFiles()
    const [one, other] = await Promise.all([1, 2].map(() => source.hold('/a.jpg', patient, known)))
    expect(one?.heldPath).toBe(other?.heldPath)
    expect(await openFiles()).toBe(before + 1)
    one?.close()
    one?.close()
    expect(await textOf(other)).toBe('first')
    expect(await other?.isUnchanged(patient)).toBe(true)
    other?.close()
    await expect.poll(openFiles).toBe(before)
    expect(await other?.isUnchanged(patient)).toBe(false)
  })

  test('who has seen the file that took the place gets that one', async () => {
    const old = await source.hold('/b.jpg', patient, await put('b.jpg', 'first'))
    const now = await source.hold('/b.jpg', patient, await put('b.jpg', 'second'))
    expect([await textOf(old), await textOf(now)]).toEqual(['first', 'second'])
    old?.close()
    now?.close()
  })

  test('what is absent or refused is so for all who asked, and asked again by who comes after', async () => {
    const known = await put('c.jpg', 'x'.repeat(1001)).catch(() => ({ version: 'v', byteLength: 0, lastModifiedMs: 0 }))
    const answers = await Promise.allSettled([1, 2].map(() => source.hold('/c.jpg', patient, known)))
    expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    await rm(join(folder, 'c.jpg'))
    expect(await Promise.all([1, 2].map(() => source.hold('/c.jpg', patient, known)))).toEqual([undefined, undefined])
    await put('c.jpg', 'there')
    const held = await source.hold('/c.jpg', patient, known)
    expect(await textOf(held)).toBe('there')
    held?.close()
  })

  test('who gives up disturbs nobody, and the last who does ends the opening', async () => {
    const known = { version: 'v', byteLength: 0, lastModifiedMs: 0 }
    const signals: AbortSignal[] = []
    const never = shareHolds((_path, signal) => {
      signals.push(signal)
      return new Promise(() => undefined)
    })
    const [one, other] = [new AbortController(), new AbortController()]
    const holds = [one, other].map(({ signal }) => never('/d.jpg', signal, known))
    one.abort(new Error('gone'))
    await expect(holds[0]).rejects.toThrow('gone')
    expect(signals.map(({ aborted }) => aborted)).toEqual([false])
    other.abort(new Error('gone, too'))
    await expect(holds[1]).rejects.toThrow('gone, too')
    expect(signals.map(({ aborted }) => aborted)).toEqual([true])
    void never('/d.jpg', patient, known)
    expect(signals).toHaveLength(2)
  })
})
