import { spawn, spawnSync } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { projectRoot } from '../helpers/start-halftone.ts'

let clone: string

beforeEach(async () => {
  clone = await mkdtemp(join(tmpdir(), 'halftone-launch-'))
  for (const script of ['launch.mjs', 'launch-options.mjs', 'built-server.mjs'])
    await cp(join(projectRoot, 'scripts', script), join(clone, 'scripts', script))
  const facts = { name: 'nothing', version: '1.0.0' }
  await writeFile(join(clone, 'package.json'), JSON.stringify(facts))
  await writeFile(
    join(clone, 'package-lock.json'),
    JSON.stringify({ ...facts, lockfileVersion: 3, requires: true, packages: { '': facts } }),
  )
  await mkdir(join(clone, 'node_modules'))
  await writeFile(join(clone, 'entry.ts'), "console.log('here' satisfies string)")
})
afterEach(() => rm(clone, { recursive: true, force: true }))

function launch(before = ':', entry = 'entry.ts') {
  const command = `${before}; exec ${process.execPath} scripts/launch.mjs ${entry}`
  const child = spawn('sh', ['-c', command], { cwd: clone })
  let told = ''
  child.stderr.on('data', (chunk: Buffer) => (told += chunk.toString()))
  return { told: () => told, out: text(child.stdout) }
}

const locksIn = async (folder: string) => (await readdir(folder)).filter((name) => name.startsWith('.launch-lock'))

test.each([
  ['that was ended', () => String(spawnSync(process.execPath, ['--version']).pid)],
  ['that never wrote into it', () => ''],
])('the lock of a launch %s does not hold up the next one', async (_, holder) => {
  const lock = join(clone, '.launch-lock')
  await writeFile(lock, holder())
  await utimes(lock, new Date(), new Date(Date.now() - 10_000))
  const { told, out } = launch()
  expect(await out).toBe('here\n')
  expect(told()).toBe('halftone: installing packages (some 45 s, once)\n')
  expect(await locksIn(clone)).toEqual([])
})

test('nor does one with its own number in it, as after a restart in a container', async () => {
  const { told, out } = launch('printf $$ > .launch-lock')
  expect(await out).toBe('here\n')
  expect(told()).toBe('halftone: installing packages (some 45 s, once)\n')
  expect(await locksIn(clone)).toEqual([])
})

test('the npm of a launch that was ended is waited for: it still puts things back', async () => {
  const npm = spawn('sleep', ['60'])
  const launcher = spawnSync(process.execPath, ['--version']).pid
  await writeFile(join(clone, '.launch-lock'), `${launcher} ${npm.pid}`)
  const { told, out } = launch()
  await expect.poll(told, { timeout: 20_000 }).toContain('another launch is installing or bundling; waiting for it')
  npm.kill()
  expect(await out).toBe('here\n')
})

test('an installation that was begun names its npm in the lock', async () => {
  const bin = join(clone, 'bin')
  await mkdir(bin)
  await writeFile(join(bin, 'npm'), '#!/bin/sh\ncp .launch-lock seen\necho "\n$$" >> seen\n', { mode: 0o755 })
  const { out } = launch(`unset npm_execpath; PATH=${bin}:$PATH`)
  expect(await out).toBe('here\n')
  const [holders = '', npm] = (await readFile(join(clone, 'seen'), 'utf8')).split('\n')
  expect(holders.split(' ')[1]).toBe(npm)
})

test('the server is bundled by the launch and run from there', async () => {
  await mkdir(join(clone, 'src'))
  await writeFile(join(clone, 'src', 'main.ts'), "console.log('from the sources')")
  const script = "mkdirSync(process.argv[2]); writeFileSync(process.argv[2] + '/main.js', 'console.log(`bundled`)')"
  await writeFile(
    join(clone, 'scripts', 'bundle-server.ts'),
    `import { mkdirSync, writeFileSync } from 'node:fs'; mkdirSync('.builds', { recursive: true }); ${script}`,
  )
  expect(await launch(':', 'src/main.ts').out).toBe('bundled\n')
  await writeFile(join(clone, 'scripts', 'bundle-server.ts'), "throw new Error('no bundler')")
  const { told, out } = launch(':', 'src/main.ts')
  expect(await out).toBe('from the sources\n')
  expect(told()).toContain('could not be bundled, and starts from the sources: ')
})

test('while another launch installs it is waited for, and the waiting is told', async () => {
  await writeFile(join(clone, '.launch-lock'), String(process.pid))
  const { told, out } = launch()
  await expect.poll(told, { timeout: 20_000 }).toContain('another launch is installing or bundling; waiting for it')
  expect(await locksIn(clone)).toEqual(['.launch-lock'])
  await rm(join(clone, '.launch-lock'))
  expect(await out).toBe('here\n')
  expect(await locksIn(clone)).toEqual([])
})
