import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeResult, encodeResult } from '../../../src/cache/result-codec.ts'
import { keyOf, resultFor } from '../../helpers/cache-bodies.ts'

const key = keyOf('codec')

test('any result survives the round trip', () => {
  const results = fc.record({
    body: fc.uint8Array({ maxLength: 3000 }).map((bytes) => Buffer.from(bytes)),
    contentType: fc.string(),
    etag: fc.string({ unit: 'binary' }).filter((text) => text.isWellFormed()),
    createdAtMs: fc.nat(),
    facts: fc.dictionary(
      fc.stringMatching(/^[a-z]{1,9}$/),
      fc.oneof(
        fc.string().filter((text) => text.isWellFormed()),
        fc.integer(),
        fc.boolean(),
      ),
      { noNullPrototype: true },
    ),
  })
  fc.assert(
    fc.property(results, (result) => {
      expect(decodeResult(key, encodeResult(key, result))).toEqual(result)
    }),
  )
})

test('every single altered byte is found, in header, body and checksum', () => {
  const bytes = encodeResult(key, resultFor(key, 300))
  for (let at = 0; at < bytes.length; at += 1)
    for (const flip of [0x01, 0x80, 0xff]) {
      const altered = Buffer.from(bytes)
      altered.writeUInt8((altered[at] ?? 0) ^ flip, at)
      expect(decodeResult(key, altered), `byte ${at}`).toBeUndefined()
    }
})

test('every truncation is found, and so is anything appended', () => {
  const bytes = encodeResult(key, resultFor(key, 300))
  for (let length = 0; length < bytes.length; length += 1)
    expect(decodeResult(key, bytes.subarray(0, length)), `length ${length}`).toBeUndefined()
  expect(decodeResult(key, Buffer.concat([bytes, Buffer.of(0)]))).toBeUndefined()
})

test('an entry under the name of another key is refused', () => {
  expect(decodeResult(keyOf('other'), encodeResult(key, resultFor(key)))).toBeUndefined()
})

test('random bytes never throw', () => {
  const withMagic = fc.uint8Array({ maxLength: 400 }).map((rest) => Buffer.concat([Buffer.from('HTC\u0001'), rest]))
  const anything = fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes))
  fc.assert(
    fc.property(fc.oneof(withMagic, anything), (bytes) => {
      expect(decodeResult(key, bytes)).toBeUndefined()
    }),
  )
})

test.each([
  '{',
  '[]',
  'null',
  '{"key":1}',
  `{"key":"${key}","contentType":"a","etag":"b","createdAtMs":1,"facts":{"x":[]}}`,
])('a rightly sealed entry with the header %s is refused', (header) => {
  const lengths = Buffer.alloc(8)
  lengths.writeUInt32LE(Buffer.byteLength(header), 0)
  const sealed = Buffer.concat([Buffer.from('HTC\u0001'), lengths, Buffer.from(header)])
  const bytes = Buffer.concat([sealed, createHash('sha256').update(sealed).digest()])
  expect(decodeResult(key, bytes)).toBeUndefined()
})
