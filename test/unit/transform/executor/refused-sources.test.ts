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
