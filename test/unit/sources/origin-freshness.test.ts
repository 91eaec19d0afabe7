import { expect, test, vi } from 'vitest'
import { originFreshness } from '../../../src/sources/origin-freshness.ts'

const now = new Date()
const inAMinute = new Date(now.getTime() + 60_000).toUTCString()
const hourAgo = new Date(now.getTime() - 3_600_000).toUTCString()

test.each<[Record<string, string>, number | undefined]>([
  [{}, undefined],
  [{ etag: '"a"', 'last-modified': hourAgo }, undefined],
  [{ 'cache-control': 'max-age=60' }, 60],
  [{ 'cache-control': 'public, max-age=60, s-maxage=30' }, 30],
  [{ 'cache-control': 'max-age=60', age: '20' }, 40],
  [{ 'cache-control': 'max-age=60', age: '100' }, 0],
  [{ 'cache-control': 'no-cache' }, 0],
  [{ 'cache-control': 'no-store' }, 0],
  [{ 'cache-control': 'private, max-age=60' }, 0],
  [{ 'cache-control': 'public' }, 0],
  [{ 'cache-control': 'max-age=31536000, immutable' }, 31_536_000],
  [{ expires: inAMinute, date: now.toUTCString() }, 60],
  [{ expires: hourAgo }, 0],
  [{ expires: '0' }, 0],
  [{ expires: inAMinute, date: now.toUTCString(), 'cache-control': 'max-age=5' }, 5],
  [{ 'cache-control': 'max-age=60', 'set-cookie': 'a=b' }, 0],
  [{ 'cache-control': 'nonsense, max-age=x' }, 0],
])('%j is fresh for %s seconds', (headers, expected) => {
  const seconds = originFreshness(headers)
  if (expected === undefined || seconds === undefined) expect(seconds).toBe(expected)
  // A second may pass while the header is read.
  else expect(Math.abs(seconds - expected)).toBeLessThanOrEqual(1)
})

test('a clock that ticks while the headers are read costs no second', () => {
  let nowMs = 1_700_000_000_000
  const clock = vi.spyOn(Date, 'now').mockImplementation(() => (nowMs += 1))
  try {
    expect(originFreshness({ 'cache-control': 'max-age=300' })).toBe(300)
    expect(originFreshness({ 'cache-control': 'max-age=300', age: '20' })).toBe(280)
  } finally {
    clock.mockRestore()
  }
})
