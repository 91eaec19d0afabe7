import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createLoopTurns } from '../../../src/lib/loop-turns.ts'

const never = new AbortController().signal

test('one goes on in each turn of the event loop, in the order in which they came', async () => {
  const turns = createLoopTurns()
  const gone: number[] = []
  const start = async (name: number) => {
    await turns.next(never)
    gone.push(name)
  }
  for (const name of [1, 2, 3]) void start(name)
  const seen: number[][] = []
  for (let turn = 0; turn < 4; turn++) {
    await nextTurn()
    seen.push([...gone])
  }
  expect(seen.at(-1)).toEqual([1, 2, 3])
  for (const [index, names] of seen.entries()) {
    expect(names).toEqual([1, 2, 3].slice(0, names.length))
    expect(names.length - (seen[index - 1] ?? [1]).length).toBeLessThanOrEqual(1)
  }
})

test('a lone caller does not wait, and after a burst the next one does not either', async () => {
  const turns = createLoopTurns()
  expect(turns.next(never)).toBeUndefined()
  const second = turns.next(never)
  expect(second).toBeInstanceOf(Promise)
  await second
  await nextTurn()
  await nextTurn()
  expect(turns.next(never)).toBeUndefined()
})

test('who has gone does not wait for a turn, and takes none', async () => {
  const turns = createLoopTurns()
  void turns.next(never)
  const gone = new AbortController()
  const left = turns.next(gone.signal)
  const behind = turns.next(never)
  gone.abort()
  await left
  await nextTurn()
  await behind
  await nextTurn()
  expect(turns.next(never)).toBeUndefined()
})
