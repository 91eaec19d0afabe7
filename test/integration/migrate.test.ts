import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { runHalftone, type Ran } from '../helpers/run-halftone.ts'

let dataDir: string
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'halftone-migrate-'))
  const folder = dataDir
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
})

function migrate(...args: string[]): Promise<Ran> {
  return runHalftone(['migrate', ...args], { HALFTONE_SOURCE: dataDir, HALFTONE_DATA_DIR: dataDir })
}

test('a new database is made, and the second run has nothing to do', async () => {
  const first = await migrate()
  expect([first.code, first.stdout]).toEqual([0, expect.stringContaining('0001-uploads')])
  const second = await migrate()
  expect([second.code, second.stdout]).toEqual([0, expect.stringContaining('up to date')])
})

test('the report is JSON on request', async () => {
  const { stdout } = await migrate('--json')
  expect(JSON.parse(stdout)).toMatchObject({
    database: join(dataDir, 'halftone.sqlite'),
    applied: expect.arrayContaining(['0001-uploads']) as string[],
  })
})

test('a database of a newer release is refused, with exit code 1 and the way out', async () => {
  await migrate()
  const db = new Database(join(dataDir, 'halftone.sqlite'))
  db.prepare("insert into kysely_migration values ('9999-future', '2030-01-01')").run()
  db.close()
  const { code, stderr } = await migrate()
  expect([code, stderr]).toEqual([1, expect.stringContaining('newer Halftone')])
})

test('a file that is no database is refused in one sentence', async () => {
  writeFileSync(join(dataDir, 'halftone.sqlite'), 'this is a text, and a rather long one at that. '.repeat(50))
  const { code, stderr } = await migrate()
  expect([code, stderr]).toEqual([1, expect.stringContaining('is not a database')])
  expect(stderr).not.toContain('    at ')
})

test('there is help', async () => {
  expect((await migrate('--help')).stdout).toContain('Usage: halftone migrate')
})
