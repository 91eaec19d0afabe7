import { expect, test } from 'vitest'
import { createRefusedSources } from '../../../../src/transform/executor/refused-sources.ts'

test('a source is refused for its time and no longer', () => {
  const refused = createRefusedSources({ refuseMs: 1000, maxEntries: 10 })
  refused.refuse('a', 0)
  expect([refused.isRefused('a', 999), refused.isRefused('b', 0), refused.isRefused('a', 1000)]).toEqual([
    true,
    false,
    false,
  ])
  expect(refused.size).toBe(0)
})

test('only so many are remembered, the oldest is forgotten first', () => {
  const refused = createRefusedSources({ refuseMs: 1000, maxEntries: 2 })
  for (const key of ['a', 'b', 'a', 'c']) refused.refuse(key, 0)
  expect([refused.isRefused('a', 1), refused.isRefused('b', 1), refused.isRefused('c', 1)]).toEqual([true, false, true])
})

test('after a dear plan its source is refused only to those that are as dear, and to cheaper ones once they have failed', () => {
  const refused = createRefusedSources({ refuseMs: 1000, maxEntries: 10 })
  const works = () => [99, 100, 400, 500].map((workMs) => refused.isRefused('a', 1, workMs))
  refused.refuse('a', 0, 400)
  expect([refused.isRefused('a', 1), ...works()]).toEqual([false, false, false, true, true])
  refused.refuse('a', 0, 100)
  refused.refuse('a', 0, 500)
  expect(works()).toEqual([false, true, true, true])
  refused.refuse('a', 0)
  expect(refused.isRefused('a', 1)).toBe(true)
})
