import { expect, test } from 'vitest'
import { joinHead } from '../../../src/delivery/ready-head.ts'

test('fields are joined as they are sent, but for what decides where the message ends', () => {
  expect(joinHead(['ETag', '"x:y"', 'Content-Length', '9', 'Vary', 'Accept'])).toEqual({
    lines: 'ETag: "x:y"\r\nVary: Accept\r\n',
    framing: ['Content-Length', '9'],
  })
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
  expect(() => joinHead([name, value])).toThrow()
})
