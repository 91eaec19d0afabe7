import { execFile } from 'node:child_process'
import { appendFile, mkdir, mkdtemp, realpath, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createFileSource } from '../../../src/sources/file-source.ts'

const run = promisify(execFile)
const signal = new AbortController().signal

let base = ''
let folder = ''
beforeAll(async () => {
  base = await realpath(await mkdtemp(join(tmpdir(), 'halftone-races-')))
  folder = join(base, 'root')
  await mkdir(join(folder, 'sub'), { recursive: true })
  await writeFile(join(base, 'secret.jpg'), 'outside')
  await writeFile(join(folder, 'a.jpg'), 'inside')
  await writeFile(join(folder, 'sub', 'b.jpg'), 'inside b')
})
afterAll(() => rm(base, { recursive: true, force: true }))

const source = () => createFileSource({ name: 'test', folder, maxBytes: 100_000 })

describe('somebody changes the folder during the read', () => {
  test('links and folders that are swapped during the read never give a byte from outside', async () => {
    const place = join(folder, 'race.jpg')
    const [inside, outside] = [join(base, 'link-in'), join(base, 'link-out')]
    const directory = join(folder, 'race')
    await mkdir(join(base, 'away'))
    await writeFile(join(base, 'away', 'b.jpg'), 'outside')
    let isOver = false
    const attacker = (async () => {
      while (!isOver) {
        await symlink('a.jpg', inside)
        await rename(inside, place)
        await symlink('../secret.jpg', outside)
        await rename(outside, place)
        await symlink('sub', directory).then(() => unlink(directory))
        await symlink('../away', directory).then(() => unlink(directory))
      }
    })()
    const seen = new Map<string, number>()
    for (let round = 0; round < 1500; round++) {
      const path = round % 2 === 0 ? '/race.jpg' : '/race/b.jpg'
      const original = await source()
        .read(path, signal)
        .catch(() => undefined)
      const text = original?.bytes.toString() ?? 'absent'
      seen.set(text, (seen.get(text) ?? 0) + 1)
    }
    isOver = true
    await attacker
    expect([...seen.keys()].sort()).not.toContain('outside')
    expect(seen.get('inside')).toBeGreaterThan(0)
  })

  test('a pipe that takes the place of a file during the read does not hang it', async () => {
    const [file, pipe, place] = [join(base, 'file'), join(base, 'pipe'), join(folder, 'turning.jpg')]
    let isOver = false
    const attacker = (async () => {
      while (!isOver) {
        await writeFile(file, 'inside')
        await rename(file, place)
        await run('mkfifo', [pipe])
        await rename(pipe, place)
      }
    })()
    for (let round = 0; round < 300; round++) {
      const original = await source()
        .read('/turning.jpg', AbortSignal.timeout(2000))
        .catch((error: { code?: string }) => {
          expect(error.code).toBe('source_failed')
          return undefined
        })
      if (original) expect(original.bytes.toString()).toBe('inside')
    }
    isOver = true
    await attacker
  })

  test('a file that never stops growing is a failure, and never more than its limit is read', async () => {
    const path = join(folder, 'growing.jpg')
    await writeFile(path, 'x')
    let isOver = false
    const writer = (async () => {
      while (!isOver) await appendFile(path, 'y')
    })()
    const codes = new Set<string>()
    for (let round = 0; round < 50; round++) {
      const outcome = await source()
        .read('/growing.jpg', signal)
        .then((original) => (original?.bytes.length === original?.byteLength ? 'whole' : 'torn'))
        .catch((error: { code: string }) => error.code)
      codes.add(outcome)
    }
    isOver = true
    await writer
    expect(codes).not.toContain('torn')
    expect(codes).toContain('source_failed')
  })
})
