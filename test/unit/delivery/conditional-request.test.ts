import { describe, expect, test } from 'vitest'
import { isNotModified, namesEtag, resolveRange } from '../../../src/delivery/conditional-request.ts'

describe('If-None-Match names a tag', () => {
  test.each([
    ['"a"', '"a"', true],
    ['"b"', '"a"', false],
    ['*', '"a"', false],
    ['W/"a"', '"a"', true],
    ['"x", "a" , "y"', '"a"', true],
    ['"x","y"', '"a"', false],
    ['"x,a"', '"a"', false],
    ['a', '"a"', false],
    ['', '"a"', false],
    ['"a', '"a"', false],
  ])('%s against %s', (header, etag, want) => {
    expect(namesEtag(header, etag)).toBe(want)
  })
})

describe('not modified', () => {
  const current = { etag: '"a"', lastModifiedMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678) }
  const same = 'Fri, 02 Jan 2026 03:04:05 GMT'
  test.each([
    ['nothing asked', undefined, undefined, false],
    ['same second', undefined, same, true],
    ['same second, as RFC 850 wrote it', undefined, 'Friday, 02-Jan-26 03:04:05 GMT', true],
    ['same second, as asctime writes it', undefined, 'Fri Jan  2 03:04:05 2026', true],
    ['older copy', undefined, 'Fri, 02 Jan 2026 03:04:04 GMT', false],
    ['a copy from the future proves nothing', undefined, 'Fri, 02 Jan 2099 03:04:04 GMT', false],
    ['a date only', undefined, '2099', false],
    ['no date', undefined, 'yesterday', false],
    ['the tag outranks the date', '"b"', same, false],
    ['tag matches', '"a"', undefined, true],
    ['anything', ' * ', undefined, true],
  ])('%s', (_name, ifNoneMatch, ifModifiedSince, want) => {
    expect(isNotModified({ ifNoneMatch, ifModifiedSince }, current)).toBe(want)
  })
})

describe('Range', () => {
  const current = { etag: '"a"', lastModifiedMs: Date.UTC(2026, 0, 2), byteLength: 100 }
  const whole = { kind: 'whole' }
  test.each([
    [undefined, undefined, whole],
    ['bytes=0-9', undefined, { kind: 'part', start: 0, end: 9 }],
    ['bytes=90-', undefined, { kind: 'part', start: 90, end: 99 }],
    ['bytes=-10', undefined, { kind: 'part', start: 90, end: 99 }],
    ['bytes=50-500', undefined, { kind: 'part', start: 50, end: 99 }],
    ['bytes=100-', undefined, { kind: 'unsatisfiable' }],
    ['bytes=0-1,5-6', undefined, whole],
    ['lines=0-1', undefined, whole],
    ['bytes=x', undefined, whole],
    ['bytes=0-9', '"a"', { kind: 'part', start: 0, end: 9 }],
    ['bytes=0-9', '"b"', whole],
    ['bytes=0-9', 'W/"a"', whole],
    ['bytes=0-9', 'Fri, 02 Jan 2026 00:00:00 GMT', { kind: 'part', start: 0, end: 9 }],
    ['bytes=0-9', 'Thu, 01 Jan 2026 00:00:00 GMT', whole],
  ])('%s if %s', (range, ifRange, want) => {
    expect(resolveRange(range, ifRange, current)).toEqual(want)
  })
})
