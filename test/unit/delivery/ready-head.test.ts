import { expect, test } from 'vitest'
import { joinHead, splitHead } from '../../../src/delivery/ready-head.ts'

test('fields are joined as they are sent, and come apart again', () => {
  const fields = [
    ['ETag', '"x: y"'],
    ['Content-Length', '9'],
    ['X-Empty', ''],
  ] as const
  expect(joinHead(fields)).toBe('ETag: "x: y"\r\nContent-Length: 9\r\nX-Empty: \r\n')
  expect(splitHead(joinHead(fields))).toEqual(fields.flat())
})

test.each([
  ['X', 'a\r\nSet-Cookie: b'],
  ['X', 'a\nb'],
  ['X', 'a\u0000'],
  ['X', '\u4e00'],
  ['X\r\nY', 'a'],
  ['X Y', 'a'],
  ['', 'a'],
  ['Connection', 'close'],
  ['Transfer-Encoding', 'chunked'],
])('%j: %j is refused', (name, value) => {
  expect(() => joinHead([[name, value]])).toThrow()
})
