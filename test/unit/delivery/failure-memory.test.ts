import { expect, test } from 'vitest'
import { AppError } from '../../../src/errors.ts'
import { createFailureMemory } from '../../../src/delivery/failure-memory.ts'

test('remembers what the original causes, for its time only', () => {
  const memory = createFailureMemory({ ttlMs: 1000, maxEntries: 10 })
  memory.remember('k', new AppError('undecodable'), 0)
  expect(memory.recall('k', 999)?.code).toBe('undecodable')
  expect(memory.recall('k', 1000)).toBeUndefined()
})

test('passing trouble is not remembered', () => {
  const memory = createFailureMemory({ ttlMs: 1000, maxEntries: 10 })
  for (const code of ['overloaded', 'source_timeout', 'internal', 'not_found'] as const)
    memory.remember(code, new AppError(code), 0)
  for (const code of ['overloaded', 'source_timeout', 'internal', 'not_found'])
    expect(memory.recall(code, 1)).toBeUndefined()
})

test('is bounded: the oldest goes first', () => {
  const memory = createFailureMemory({ ttlMs: 1000, maxEntries: 2 })
  for (const key of ['a', 'b', 'c']) memory.remember(key, new AppError('undecodable'), 0)
  expect(['a', 'b', 'c'].map((key) => memory.recall(key, 1) !== undefined)).toEqual([false, true, true])
})
