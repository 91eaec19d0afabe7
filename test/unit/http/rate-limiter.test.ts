import { afterEach, expect, test, vi } from 'vitest'
import { clientAddress } from '../../../src/http/middleware/client-address.ts'
import { createMemoryRateLimiter } from '../../../src/http/middleware/rate-limiter.ts'

afterEach(() => vi.useRealTimers())

test('counts down, refuses, and begins anew after its window', async () => {
  vi.useFakeTimers()
  const limiter = createMemoryRateLimiter({ points: 2, windowSeconds: 60 })
  expect(await limiter.consume('a')).toEqual({
    limit: 2,
    windowSeconds: 60,
    remaining: 1,
    resetSeconds: 60,
    isExceeded: false,
  })
  vi.advanceTimersByTime(30_000)
  expect(await limiter.consume('a')).toMatchObject({ remaining: 0, isExceeded: false, resetSeconds: 30 })
  expect(await limiter.consume('a')).toMatchObject({ remaining: 0, isExceeded: true })
  expect(await limiter.consume('b')).toMatchObject({ remaining: 1, isExceeded: false })
  vi.advanceTimersByTime(30_001)
  expect(await limiter.consume('a')).toMatchObject({ remaining: 1, isExceeded: false })
})

test('a flood of keys shares counts, while those that were there keep their own', async () => {
  const limiter = createMemoryRateLimiter({ points: 3, windowSeconds: 60 }, { maxKeys: 100 })
  for (let i = 0; i < 100; i++) await limiter.consume(`early-${String(i)}`)
  const late = await Promise.all(Array.from({ length: 10_000 }, (_, index) => limiter.consume(`late-${String(index)}`)))
  // 1024 shared counts of 3 points each let through as many, and no more.
  expect(late.filter((state) => !state.isExceeded).length).toBeLessThanOrEqual(3 * 1024)
  expect(await limiter.consume('early-7')).toMatchObject({ remaining: 1, isExceeded: false })
})

test('room comes back when windows have passed', async () => {
  vi.useFakeTimers()
  const limiter = createMemoryRateLimiter({ points: 1, windowSeconds: 60 }, { maxKeys: 10 })
  for (let i = 0; i < 5000; i++) await limiter.consume(`a-${String(i)}`)
  vi.advanceTimersByTime(121_000)
  const states = await Promise.all(Array.from({ length: 10 }, (_, index) => limiter.consume(`b-${String(index)}`)))
  expect(states.every((state) => !state.isExceeded)).toBe(true)
})

test.each([
  ['192.0.2.7', '192.0.2.7'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8:1:2::9', '2001:db8:1:2::/64'],
  ['::1', '0:0:0:0::/64'],
  ['nonsense', 'unknown'],
  [undefined, 'unknown'],
])('%s is counted as %s', (ip, counted) => {
  expect(clientAddress({ ip })).toBe(counted)
})
