import { expect, test } from 'vitest'
import { cacheControl } from '../../../src/delivery/cache-control.ts'

const base = {
  isPrivate: false,
  isImmutable: false,
  maxAgeSeconds: 3600,
  staleWhileRevalidateSeconds: 86_400,
  expiresAtSeconds: undefined,
}
const nowMs = 1_000_000_000

test.each([
  ['its own freshness with stale-while-revalidate', {}, 'public, max-age=3600, stale-while-revalidate=86400'],
  ['a year where bytes never change', { isImmutable: true }, 'public, max-age=31536000, immutable'],
  ['private stays private', { isPrivate: true }, 'private, max-age=3600'],
  ['private and immutable', { isPrivate: true, isImmutable: true }, 'private, max-age=31536000, immutable'],
  ['never beyond expires', { expiresAtSeconds: 1_000_060 }, 'public, max-age=60'],
  ['never beyond expires, private', { isPrivate: true, expiresAtSeconds: 1_000_060 }, 'private, max-age=60'],
  ['never beyond expires, immutable', { isImmutable: true, expiresAtSeconds: 1_000_060 }, 'public, max-age=60'],
  ['a far expires does not lengthen', { expiresAtSeconds: 9_000_000 }, 'public, max-age=3600'],
  ['expiring this second', { expiresAtSeconds: 1_000_000 }, 'public, max-age=0'],
])('%s', (_name, change, want) => {
  expect(cacheControl({ ...base, ...change }, nowMs)).toBe(want)
})
