import { execFile } from 'node:child_process'
import {
  appendFile,
  chmod,
  link,
  mkdir,
  mkdtemp,
  open,
  realpath,
  rename,
  rm,
  symlink,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createFileSource } from '../../../src/sources/file-source.ts'
import { describeSource } from '../../contract/source.contract.ts'

const run = promisify(execFile)
const maxBytes = 100_000
const signal = new AbortController().signal

let base = ''
let folder = ''
beforeAll(async () => {
  base = await realpath(await mkdtemp(join(tmpdir(), 'halftone-source-')))
  folder = join(base, 'root')
  await mkdir(join(folder, 'sub'), { recursive: true })
  await writeFile(join(base, 'secret.jpg'), 'outside')
  await mkdir(join(base, 'root-twin'))
  await writeFile(join(base, 'root-twin', 'x.jpg'), 'outside')
  await writeFile(join(folder, 'a.jpg'), 'inside')
  await writeFile(join(folder, 'sub', 'b.jpg'), 'inside b')
})
afterAll(() => rm(base, { recursive: true, force: true }))

const source = () => createFileSource({ name: 'test', folder, maxBytes })

describeSource('folder', async () => {
  const root = await mkdtemp(join(tmpdir(), 'halftone-contract-'))
  return {
    source: createFileSource({ name: 'contract', folder: root, maxBytes }),
    maxBytes,
    async put(path, bytes) {
      await mkdir(dirname(root + path), { recursive: true })
      await writeFile(root + path, bytes)
    },
    remove: (path) => rm(root + path),
    close: () => rm(root, { recursive: true }),
  }
})

describe('symbolic links', () => {
  test.each([
    ['to a file inside', 'in.jpg', 'sub/b.jpg'],
    ['to a file inside, absolute', 'in-absolute.jpg', () => join(folder, 'a.jpg')],
    ['to a folder inside', 'in-folder', 'sub'],
    ['through the outside back in', 'round.jpg', () => '../root/a.jpg'],
  ])('%s work', async (_name, name, target) => {
    await symlink(typeof target === 'string' ? target : target(), join(folder, name))
    const path = name === 'in-folder' ? '/in-folder/b.jpg' : `/${name}`
    expect((await source().read(path, signal))?.bytes.toString()).toMatch(/^inside/)
  })

  test.each([
    ['to a file outside', 'out.jpg', '../secret.jpg', '/out.jpg'],
    ['to a file outside, absolute', 'out-absolute.jpg', '/etc/passwd', '/out-absolute.jpg'],
    ['to a folder outside', 'out-folder', '..', '/out-folder/secret.jpg'],
    ['to a folder whose name begins like the root', 'out-twin', '../root-twin', '/out-twin/x.jpg'],
    ['to the kernel', 'out-proc', '/proc/self', '/out-proc/environ'],
    ['to themselves', 'loop.jpg', 'loop.jpg', '/loop.jpg'],
    ['to nothing', 'dangling.jpg', 'nothing.jpg', '/dangling.jpg'],
    ['to a link that leads outside', 'out-twice.jpg', 'out.jpg', '/out-twice.jpg'],
  ])('%s are absent', async (_name, name, target, path) => {
    await symlink(target, join(folder, name))
    expect(await source().stat(path, signal)).toBeUndefined()
    expect(await source().read(path, signal)).toBeUndefined()
  })

  test('the root may be a link itself, and may be moved to another folder', async () => {
    const current = join(base, 'current')
    await symlink('root', current)
    const linked = createFileSource({ name: 'linked', folder: current, maxBytes })
    expect((await linked.read('/a.jpg', signal))?.bytes.toString()).toBe('inside')
    await symlink('root-twin', `${current}.new`)
    await rename(`${current}.new`, current)
    expect((await linked.read('/x.jpg', signal))?.bytes.toString()).toBe('outside')
    expect(await linked.read('/a.jpg', signal)).toBeUndefined()
  })

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
})

describe('what is not a regular file', () => {
  test('a pipe is absent at once instead of waiting for a writer', async () => {
    await run('mkfifo', [join(folder, 'pipe.jpg')])
    expect(await source().read('/pipe.jpg', AbortSignal.timeout(2000))).toBeUndefined()
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

  test('a socket, a device and a folder are absent', async () => {
    const server = createServer().listen(join(folder, 'socket.jpg'))
    await new Promise((resolve) => server.once('listening', resolve))
    await symlink('/dev/zero', join(folder, 'zero.jpg'))
    for (const path of ['/socket.jpg', '/zero.jpg', '/sub', '/sub/'])
      expect(await source().read(path, signal)).toBeUndefined()
    await new Promise((resolve) => server.close(resolve))
  })

  test('dotfiles are refused, and so is what lies below a dot folder', async () => {
    await mkdir(join(folder, '.git'))
    await writeFile(join(folder, '.git', 'x.jpg'), 'hidden')
    await expect(source().read('/.git/x.jpg', signal)).rejects.toMatchObject({ code: 'path_invalid' })
  })
})

describe('failures', () => {
  test('an unreadable file is a failure that names its cause', async () => {
    await writeFile(join(folder, 'locked.jpg'), 'x')
    await chmod(join(folder, 'locked.jpg'), 0)
    await chmod(base, 0o755)
    expect(await readAsNobody('/locked.jpg')).toEqual({ code: 'source_failed', details: { errno: 'EACCES' } })
  })

  test('a missing root is a failure, not a missing picture', async () => {
    const lost = createFileSource({ name: 'lost', folder: join(base, 'unmounted'), maxBytes })
    await expect(lost.stat('/a.jpg', signal)).rejects.toMatchObject({
      code: 'source_failed',
      details: { errno: 'ENOENT' },
    })
  })

  test('a path too long for the system is absent', async () => {
    expect(await source().read(`/${'a/'.repeat(3000)}a.jpg`, signal)).toBeUndefined()
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

  test('handles are given back, also when the reader leaves', async () => {
    await writeFile(join(folder, 'big.jpg'), Buffer.alloc(maxBytes))
    const probe = await open(join(folder, 'a.jpg'))
    const fdBefore = probe.fd
    await probe.close()
    for (let round = 0; round < 200; round++) {
      const leaving = new AbortController()
      const reading = source().read('/big.jpg', leaving.signal)
      setTimeout(() => leaving.abort(new Error('left')), round % 3)
      await reading.catch(() => undefined)
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
    const after = await open(join(folder, 'a.jpg'))
    expect(after.fd).toBeLessThanOrEqual(fdBefore + 3)
    await after.close()
  })
})

describe('versions', () => {
  test('a change that hides behind the old size and modification time is seen', async () => {
    const path = join(folder, 'hidden-change.jpg')
    const time = new Date('2020-01-01')
    await writeFile(path, 'one')
    await utimes(path, time, time)
    const first = await source().read('/hidden-change.jpg', signal)
    await writeFile(path, 'two')
    await utimes(path, time, time)
    const second = await source().read('/hidden-change.jpg', signal)
    expect(second?.lastModifiedMs).toBe(first?.lastModifiedMs)
    expect(second?.version).not.toBe(first?.version)
  })

  test('a file that was replaced by a rename is seen', async () => {
    await link(join(folder, 'a.jpg'), join(folder, 'linked.jpg'))
    const first = await source().stat('/linked.jpg', signal)
    await writeFile(join(folder, 'next.jpg'), 'inside')
    await rename(join(folder, 'next.jpg'), join(folder, 'linked.jpg'))
    expect((await source().stat('/linked.jpg', signal))?.version).not.toBe(first?.version)
  })
})

/** Reads in a process without the rights of root, who may read everything; the failure is what is of interest. */
async function readAsNobody(path: string): Promise<unknown> {
  const module = JSON.stringify(new URL('../../../src/sources/file-source.ts', import.meta.url).href)
  const code = `
    const { createFileSource } = await import(${module})
    const source = createFileSource(${JSON.stringify({ name: 'test', folder, maxBytes })})
    const failure = await source.read(${JSON.stringify(path)}, new AbortController().signal).catch((error) => error)
    console.log(JSON.stringify({ code: failure?.code, details: failure?.details }))`
  const rights = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {}
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', code], rights)
  return JSON.parse(stdout)
}
