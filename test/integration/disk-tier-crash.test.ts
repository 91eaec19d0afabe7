import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { expect, test, vi } from 'vitest'
import { bodyFor } from '../helpers/cache-bodies.ts'
import { entryFilesIn, openDiskTier, patient, temporaryFolder } from '../helpers/cache-fixtures.ts'

const writer = join(import.meta.dirname, 'disk-tier-writer.ts')

/** A second process at work on the same folder; `output` collects what it says. */
async function startWriter(folder: string, options: { keys: number; maxBytes: number; milliseconds: number }) {
  const args = [writer, folder, options.keys, options.maxBytes, options.milliseconds].map(String)
  const child: ChildProcess = spawn(process.execPath, ['--experimental-strip-types', '--no-warnings', ...args])
  const output: string[] = []
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text: Buffer) => output.push(text.toString()))
  await vi.waitFor(() => expect(output.join('')).toContain('ready'), { timeout: 20_000 })
  return { child, output, ended: once(child, 'exit') }
}

function rowsOf(folder: string): Map<string, number> {
  const db = new Database(join(folder, 'index.sqlite'))
  const rows = db.prepare<[], { key: string; bytes: number }>('SELECT key, bytes FROM entries').all()
  db.close()
  return new Map(rows.map(({ key, bytes }) => [key, bytes]))
}

/** Every file is served as it must be or not at all. Answers how many were served. */
async function serveAll(folder: string, maxBytes: number): Promise<number> {
  // Before the tier is open: it clears away what a crash left, and may do so while the folder is being listed.
  const files = await entryFilesIn(folder)
  const { tier } = openDiskTier(folder, { maxBytes })
  let served = 0
  for (const { key } of files) {
    const result = await tier.get(key, patient())
    if (!result) continue
    served += 1
    expect(result.body.equals(bodyFor(key).body)).toBe(true)
  }
  await tier.close()
  return served
}

test('killed ten times in mid-write: only right bytes are served, and nothing on disk is uncounted', async () => {
  const folder = temporaryFolder()
  const maxBytes = 4 * 1024 * 1024
  for (let round = 0; round < 10; round += 1) {
    const { child, output, ended } = await startWriter(folder, { keys: 400, maxBytes, milliseconds: 60_000 })
    await sleep(Math.random() * 250)
    child.kill('SIGKILL')
    await ended
    expect(output.join('')).toBe('ready\n')
    const rows = rowsOf(folder)
    for (const file of await entryFilesIn(folder)) expect(rows.get(file.key), file.key).toBe(file.bytes)
  }
  expect(await serveAll(folder, maxBytes)).toBeGreaterThan(20)
  expect(await readdir(join(folder, 'entries', 'tmp'))).toEqual([])

  for (const suffix of ['', '-wal', '-shm']) rmSync(join(folder, `index.sqlite${suffix}`), { force: true })
  const { tier, log } = openDiskTier(folder, { maxBytes })
  await vi.waitFor(() => expect(log.events).toContain('cache_index_rebuilt'))
  const files = await entryFilesIn(folder)
  expect(tier.stats()).toMatchObject({ entries: files.length, bytes: files.reduce((sum, file) => sum + file.bytes, 0) })
}, 120_000)

test('two processes on one data directory share it without harm', async () => {
  const folder = temporaryFolder()
  const maxBytes = 512 * 1024 * 1024
  const writers = await Promise.all([1, 2].map(() => startWriter(folder, { keys: 1500, maxBytes, milliseconds: 2000 })))
  await Promise.all(writers.map(({ ended }) => ended))
  for (const { child, output } of writers) expect([child.exitCode, output.join('')]).toEqual([0, 'ready\n'])

  const rows = rowsOf(folder)
  const files = await entryFilesIn(folder)
  for (const file of files) expect(rows.get(file.key)).toBe(file.bytes)
  expect(await serveAll(folder, maxBytes)).toBe(files.length)
  expect(files.length).toBeGreaterThan(100)
}, 60_000)
