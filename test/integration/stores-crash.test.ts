import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { expect, onTestFinished, test } from 'vitest'
import type { UploadState } from '../../src/db/records.ts'
import type { Stores } from '../../src/db/stores.ts'
import { openStores } from '../../src/db/open-stores.ts'

const kills = 20
const writer = join(import.meta.dirname, 'stores-writer.ts')

/** In the order in which an upload goes through them. */
const order: readonly UploadState[] = ['pending', 'processing', 'ready', 'deleted', 'expired']

async function writeUntilKilled(file: string): Promise<string[][]> {
  const child = spawn(process.execPath, ['--experimental-strip-types', '--no-warnings', writer, file])
  const output: string[] = []
  const errors: string[] = []
  child.stdout.on('data', (text: Buffer) => output.push(text.toString()))
  child.stderr.on('data', (text: Buffer) => errors.push(text.toString()))
  const ended = once(child, 'close')
  await Promise.race([once(child.stdout, 'data'), ended])
  await sleep(Math.random() * 300)
  child.kill('SIGKILL')
  await ended
  expect(errors.join('')).toBe('')
  return output
    .join('')
    .split('\n')
    .slice(0, -1)
    .map((line) => line.split(' '))
}

/** One sentence for everything that was told and is not so. */
async function missing(stores: Stores, told: readonly string[][]): Promise<string[]> {
  const faults: string[] = []
  for (const [what, id = '', state = ''] of told) {
    if (what === 'upload') {
      const now = (await stores.uploads.find(id))?.state
      const isThere = now !== undefined && order.indexOf(now) >= order.indexOf(state as UploadState)
      if (!isThere) faults.push(`upload ${id} was ${state} and is ${now ?? 'gone'}`)
    }
    if (what === 'object' && (await stores.objects.find(id)) === undefined) faults.push(`object ${id} is gone`)
  }
  return faults
}

test(`killed ${kills} times while it writes: everything it was told is there, and the sums are right`, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'halftone-crash-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'halftone.sqlite')
  let confirmed = 0
  for (let round = 0; round < kills; round++) {
    const told = await writeUntilKilled(file)
    confirmed += told.length
    const stores = await openStores({ file })
    expect(await missing(stores, told)).toEqual([])
    expect(await stores.uploads.recount(false)).toEqual([])
    await stores.close()
  }
  expect(confirmed).toBeGreaterThan(kills * 10)
  const db = new Database(file)
  onTestFinished(() => void db.close())
  expect(db.pragma('integrity_check', { simple: true })).toBe('ok')
  expect(db.pragma('foreign_key_check')).toEqual([])
  const count = (sql: string) => db.prepare<[], number>(sql).pluck().get()
  // Each finished upload has its version, its message and its object; each that was begun its first event.
  const finished = count("select count(*) from uploads where state in ('ready', 'deleted') and version is not null")
  expect(finished).toBeGreaterThan(kills)
  expect(count('select count(*) from versions')).toBe(finished)
  expect(count('select count(*) from outbox')).toBe(finished)
  expect(
    count(
      "select count(*) from versions v join objects o on o.key = v.object_key where v.state = 'ready' and o.state <> 'stored'",
    ),
  ).toBe(0)
  expect(
    count(
      'select count(*) from uploads u where event_count <> (select count(*) from upload_events e where e.upload_id = u.id)',
    ),
  ).toBe(0)
}, 120_000)
