import { execFile } from 'node:child_process'
import {
  chmod,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readlink,
  realpath,
  rename,
  rm,
  symlink,
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
})

describe('what is not a regular file', () => {
  test('a pipe is absent at once instead of waiting for a writer', async () => {
    await run('mkfifo', [join(folder, 'pipe.jpg')])
    expect(await source().read('/pipe.jpg', AbortSignal.timeout(2000))).toBeUndefined()
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

  test('handles are given back, also when the reader leaves', async () => {
    await writeFile(join(folder, 'big.jpg'), Buffer.alloc(maxBytes))
    for (let round = 0; round < 100; round++) {
      const leaving = new AbortController()
      const reading = source().read('/big.jpg', leaving.signal)
      setTimeout(() => leaving.abort(new Error('left')), round % 3)
      await reading.catch(() => undefined)
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(await openFiles()).not.toContain(join(folder, 'big.jpg'))
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

/** Where the open descriptors of this process lead, as far as the system tells. */
async function openFiles(): Promise<string[]> {
  const descriptors = await readdir('/proc/self/fd').catch(() => [])
  return Promise.all(descriptors.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')))
}
