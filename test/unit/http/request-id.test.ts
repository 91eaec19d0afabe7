import { expect, test } from 'vitest'
import { createFreshIds, requestIdOf } from '../../../src/http/request-id.ts'

test('ids of callers are taken when they are harmless', () => {
  expect(requestIdOf('abc-1.2:3_X')).toBe('abc-1.2:3_X')
  for (const header of [undefined, '', 'a b', 'a"', 'a\n', 'x'.repeat(65), ['a', 'b']])
    expect(requestIdOf(header, () => 'fresh')).toBe('fresh')
})

test('fresh ids differ within a process and between two, and are what a caller may send', () => {
  const [one, other] = [createFreshIds(), createFreshIds()]
  const ids = Array.from({ length: 100 }, () => [one(), other()]).flat()
  expect(new Set(ids).size).toBe(200)
  for (const id of ids) expect(requestIdOf(id)).toBe(id)
})
