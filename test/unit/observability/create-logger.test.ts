import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'

const logger = new URL('../../../src/observability/create-logger.ts', import.meta.url).href

/** What a process that logs to stdout has written when it is gone. */
function linesOf(script: string): Record<string, unknown>[] {
  const whole = `import { createLogger } from ${JSON.stringify(logger)}; const log = createLogger({ level: 'info' }); ${script}`
  const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', whole]
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', maxBuffer: 64_000_000 })
  if (stderr !== '') throw new Error(stderr)
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

const many = `for (let n = 0; n < 20000; n++) log.writeInfo('"event":"request","n":' + n);`

test('no line is lost or cut, and all stay in order', () => {
  const lines = linesOf(`log.info('first'); ${many} log.info('last', { caf\u00e9: '\u4e00' })`)
  expect(lines).toHaveLength(20_002)
  expect(lines.slice(1, -1).every((line, n) => line['n'] === n && line['event'] === 'request')).toBe(true)
  expect(lines.at(0)).toMatchObject({ level: 'info', event: 'first' })
  expect(lines.at(-1)).toMatchObject({ event: 'last', café: '\u4e00' })
})

test('a few lines are not lost either, however the process ends', () => {
  expect(linesOf(`log.info('one'); log.info('two')`).map(({ event }) => event)).toEqual(['one', 'two'])
  for (const end of ['process.exit()', 'log.flush(); process.exit()', 'setImmediate(() => process.exit())'])
    expect(linesOf(`log.info('one'); ${end}`).map(({ event }) => event)).toEqual(['one'])
})

test('an error leaves at once, after what was held before it', () => {
  const lines = linesOf(
    `log.info('held'); log.error('bad'); setTimeout(() => process.kill(process.pid, 'SIGKILL'), 100)`,
  )
  expect(lines.map(({ event }) => event)).toEqual(['held', 'bad'])
})

test('what is held leaves soon, though nothing follows', () => {
  const lines = linesOf(`log.info('alone'); setTimeout(() => process.kill(process.pid, 'SIGKILL'), 700)`)
  expect(lines).toMatchObject([{ event: 'alone' }])
})

test('a ready line has the shape of all others', () => {
  const [ready = {}, other = {}]: Record<string, unknown>[] = linesOf(
    `log.writeInfo('"event":"request","status":200'); log.info('request', { status: 200 })`,
  )
  expect(Object.keys(ready)).toEqual(Object.keys(other))
  expect({ ...ready, time: '' }).toEqual({ ...other, time: '' })
  expect(ready['time']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
})
