import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { figure, ratios } from '../../bench/bench.ts'
import { compare, type Report } from '../../bench/report.ts'
import { projectRoot } from '../helpers/start-halftone.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'halftone-bench-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

// Processor times come from /proc. Nothing here asserts a timing.
test.runIf(process.platform === 'linux')(
  'a quick run counts a herd and writes a report',
  { timeout: 60_000 },
  async () => {
    const file = join(folder, 'report.json')
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['bench/run.ts', 'thundering-herd', '--quick', '--json', file],
      { cwd: projectRoot },
    )
    expect(stdout).toContain('100 identical misses: renders')
    const report = JSON.parse(await readFile(file, 'utf8')) as Report
    const [herd] = report.scenarios
    expect(herd?.name).toBe('thundering-herd')
    const counted = Object.fromEntries(herd?.figures.map(({ id, value }) => [id, value]) ?? [])
    expect(counted).toMatchObject({ 'herd.fetches': 1, 'herd.renders': 1, 'herd.answers': 100 })
  },
)

test('a scenario that does not exist is told those that do, without a stack trace', async () => {
  const ran = promisify(execFile)(process.execPath, ['bench/run.ts', '--quick', 'nope'], { cwd: projectRoot })
  const { stderr } = await ran.then(
    () => ({ stderr: 'it ran' }),
    (error: unknown) => error as { stderr: string },
  )
  expect(stderr).toMatch(/'nope' is invalid.*expected .*thundering-herd/)
  expect(stderr).not.toMatch(/\n\s+at /)
})

const reportOf = (rounds: readonly number[]): Report => ({
  at: '2026-01-01T00:00:00.000Z',
  machine: {},
  settings: { rounds: rounds.length, seconds: 1, quick: false },
  scenarios: [
    {
      name: 'memory-hit',
      figures: [figure('memory-hit/nginx', 'memory hit against nginx', 'ratio', rounds)],
      notes: [],
      tookSeconds: 1,
      loadBefore: 0,
    },
  ],
})

test.each([
  { before: [0.5, 0.5, 0.5], now: [0.3, 0.3, 0.3], said: 'worse' },
  { before: [0.3, 0.3, 0.3], now: [0.5, 0.5, 0.5], said: 'better' },
  { before: [0.5, 0.5, 0.5], now: [0.48, 0.48, 0.48], said: undefined },
  { before: [0.5, 0.5, 0.5], now: [0.1, 0.3, 0.5], said: undefined },
])('a run of $now after a baseline of $before is called $said', ({ before, now, said }) => {
  const [change] = compare(reportOf(now), reportOf(before))
  expect(change?.split(':')[0]).toBe(said)
})

test('ratios are of one round each, and the median speaks for them', () => {
  expect(ratios([10, 30, 20], [10, 10, 10])).toEqual([1, 3, 2])
  expect(figure('a', 'a', 'ratio', [1, 3, 2]).value).toBe(2)
  expect(figure('a', 'a', 'ratio', [1, 2]).value).toBe(1.5)
})
