import { expect, test } from 'vitest'
import { cacheKey, etagOf } from '../../../src/delivery/cache-key.ts'

const parts = {
  source: 's',
  path: '/a.jpg',
  version: '1',
  canonical: 'w=1',
  capabilitiesKey: 'a',
  epoch: 1,
  encoderEpoch: 'e',
}

test('equal parts make equal keys, and the tier accepts them', () => {
  expect(cacheKey({ ...parts })).toBe(cacheKey(parts))
  expect(cacheKey(parts)).toMatch(/^[\w-]{43}$/)
})

test.each([
  { source: 't' },
  { path: '/b.jpg' },
  { version: '2' },
  { canonical: 'w=2' },
  { capabilitiesKey: '' },
  { epoch: 2 },
  { encoderEpoch: 'f' },
  // The border between two parts cannot be moved.
  { source: 's","', path: 'a.jpg' },
])('%o makes another key', (change) => {
  expect(cacheKey({ ...parts, ...change })).not.toBe(cacheKey(parts))
})

test('the ETag is strong, quoted, and follows the key', () => {
  expect(etagOf(cacheKey(parts))).toMatch(/^"[\w-]{27}"$/)
  expect(etagOf(cacheKey(parts))).not.toBe(etagOf(cacheKey({ ...parts, canonical: 'w=2' })))
})
