import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import type { OriginalState, Source } from '../../../src/sources/source.ts'
import { createSourceState } from '../../../src/sources/source-state.ts'

const signal = new AbortController().signal

/** A source that counts its stats and answers when it is told to. */
function countingSource(answer: (path: string) => Promise<OriginalState | undefined>) {
  const asked: string[] = []
  const source: Source = {
    name: 'counting',
    stat: (path) => {
      asked.push(path)
      return answer(path)
    },
    read: () => Promise.resolve(undefined),
    close: () => Promise.resolve(),
  }
  return { source, asked }
}

const stateOf = (version: string): OriginalState => ({ version, byteLength: 1, lastModifiedMs: 0 })

describe('source state', () => {
  test('is asked once per time to live, and then seen anew', async () => {
    let nowMs = 0
    let version = 'v1'
    const { source, asked } = countingSource(() => Promise.resolve(stateOf(version)))
    const state = createSourceState({ ttlMs: 2000, now: () => nowMs })
    for (nowMs = 0; nowMs < 2000; nowMs += 100) expect((await state.get(source, '/a', signal))?.version).toBe('v1')
    expect(asked).toHaveLength(1)
    version = 'v2'
    expect((await state.get(source, '/a', signal))?.version).toBe('v2')
    expect(asked).toHaveLength(2)
  })

  test('remembers absence too, but no failure', async () => {
    const missing = countingSource(() => Promise.resolve(undefined))
    const state = createSourceState({ ttlMs: 1000, now: () => 0 })
    await state.get(missing.source, '/a', signal)
    expect(await state.get(missing.source, '/a', signal)).toBeUndefined()
    expect(missing.asked).toHaveLength(1)

    const failing = countingSource(() => Promise.reject(new Error('broken')))
    await expect(state.get(failing.source, '/b', signal)).rejects.toThrow('broken')
    await expect(state.get(failing.source, '/b', signal)).rejects.toThrow('broken')
    expect(failing.asked).toHaveLength(2)
  })

  test('one stat answers all who ask at once, and goes on when the first of them leaves', async () => {
    let answer: (state: OriginalState) => void = () => {}
    const { source, asked } = countingSource(() => new Promise((resolve) => (answer = resolve)))
    const state = createSourceState({ ttlMs: 1000 })
    const leaving = new AbortController()
    const first = state.get(source, '/a', leaving.signal)
    const others = [state.get(source, '/a', signal), state.get(source, '/a', signal)]
    const gone = new Error('left')
    leaving.abort(gone)
    await expect(first).rejects.toBe(gone)
    answer(stateOf('v1'))
    expect(await Promise.all(others)).toEqual([stateOf('v1'), stateOf('v1')])
    expect(asked).toHaveLength(1)
  })

  test('a stat that never answers ends at the deadline', async () => {
    const source = countingSource(() => Promise.resolve(undefined)).source
    const stuck: Source = {
      ...source,
      stat: (_path, deadline) =>
        new Promise((_, reject) => deadline.addEventListener('abort', () => reject(new Error('deadline')))),
    }
    await expect(createSourceState({ ttlMs: 1000, timeoutMs: 20 }).get(stuck, '/a', signal)).rejects.toThrow('deadline')
  })

  test('forgets on demand, also what is being asked right now', async () => {
    const answers: ((state: OriginalState) => void)[] = []
    const { source, asked } = countingSource(() => new Promise((resolve) => answers.push(resolve)))
    const state = createSourceState({ ttlMs: 1000, now: () => 0 })
    const old = state.get(source, '/a', signal)
    state.forget(source, '/a')
    const anew = state.get(source, '/a', signal)
    answers[1]?.(stateOf('new'))
    answers[0]?.(stateOf('old'))
    expect(await Promise.all([old, anew])).toEqual([stateOf('old'), stateOf('new')])
    expect(await state.get(source, '/a', signal)).toEqual(stateOf('new'))
    expect(state.freshUntilMs(source, '/a')).toBe(1000)
    expect(asked).toHaveLength(2)
  })

  test('keeps at most its number of entries and forgets the longest unused', async () => {
    const { source, asked } = countingSource(() => Promise.resolve(stateOf('v')))
    const state = createSourceState({ ttlMs: 1000, maxEntries: 2, now: () => 0 })
    for (const path of ['/a', '/b', '/a', '/c']) await state.get(source, path, signal)
    expect(asked).toEqual(['/a', '/b', '/c'])
    expect(['/a', '/b', '/c'].map((path) => state.freshUntilMs(source, path))).toEqual([1000, 0, 1000])
  })

  test('long paths take no more memory than short ones', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const heapBytes = () => {
      collect()
      return process.memoryUsage().heapUsed
    }
    const { source, asked } = countingSource(() => Promise.resolve(stateOf('v')))
    const state = createSourceState({ ttlMs: 1000, maxEntries: 5000, now: () => 0 })
    const before = heapBytes()
    // Two bytes a character: 80 MB if they were kept.
    for (let index = 0; index < 5000; index += 1)
      await state.get(source, `/${index}/${'\u4e00'.repeat(8000)}`.normalize(), signal)
    asked.length = 0
    expect(heapBytes() - before).toBeLessThan(20_000_000)
    // Each is an entry of its own all the same.
    expect(state.freshUntilMs(source, `/7/${'\u4e00'.repeat(8000)}`)).toBe(1000)
    expect(state.freshUntilMs(source, `/x/${'\u4e00'.repeat(8000)}`)).toBe(0)
  })

  test('with no time to live it asks every time', async () => {
    const { source, asked } = countingSource(() => Promise.resolve(stateOf('v')))
    const state = createSourceState({ ttlMs: 0 })
    await state.get(source, '/a', signal)
    await state.get(source, '/a', signal)
    expect(asked).toHaveLength(2)
  })
})
