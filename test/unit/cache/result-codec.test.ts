import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeResult, encodeResult } from '../../../src/cache/result-codec.ts'
import { keyOf, resultFor } from '../../helpers/cache-bodies.ts'

const key = keyOf('codec')

test('any result survives the round trip', async () => {
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
  await fc.assert(
    fc.asyncProperty(results, async (result) => {
      expect(await decodeResult(key, await encodeResult(key, result))).toEqual(result)
    }),
  )
})

test('every single altered byte is found, in header, body and checksum', async () => {
  const bytes = await encodeResult(key, resultFor(key, 300))
  for (let at = 0; at < bytes.length; at += 1)
    for (const flip of [0x01, 0x80, 0xff]) {
      const altered = Buffer.from(bytes)
      altered.writeUInt8((altered[at] ?? 0) ^ flip, at)
      expect(await decodeResult(key, altered), `byte ${at}`).toBeUndefined()
    }
})

test('large results are summed up slice by slice, and others have their turn in between', async () => {
  const result = resultFor(key, 5 * 1024 * 1024 + 1)
  let turns = 0
  const count = setInterval(() => (turns += 1), 0)
  const bytes = await encodeResult(key, result)
  const decoded = await decodeResult(key, bytes)
  clearInterval(count)
  expect(decoded?.body.equals(result.body)).toBe(true)
  expect(turns).toBeGreaterThan(4)
  expect(bytes.subarray(-32)).toEqual(createHash('sha256').update(bytes.subarray(0, -32)).digest())
  bytes.writeUInt8((bytes[3_000_000] ?? 0) ^ 1, 3_000_000)
  expect(await decodeResult(key, bytes)).toBeUndefined()
})

test('every truncation is found, and so is anything appended', async () => {
  const bytes = await encodeResult(key, resultFor(key, 300))
  for (let length = 0; length < bytes.length; length += 1)
    expect(await decodeResult(key, bytes.subarray(0, length)), `length ${length}`).toBeUndefined()
  expect(await decodeResult(key, Buffer.concat([bytes, Buffer.of(0)]))).toBeUndefined()
})

test('an entry under the name of another key is refused', async () => {
  expect(await decodeResult(keyOf('other'), await encodeResult(key, resultFor(key)))).toBeUndefined()
})

test('random bytes never throw', async () => {
  const withMagic = fc.uint8Array({ maxLength: 400 }).map((rest) => Buffer.concat([Buffer.from('HTC\u0001'), rest]))
  const anything = fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes))
  await fc.assert(
    fc.asyncProperty(fc.oneof(withMagic, anything), async (bytes) => {
      expect(await decodeResult(key, bytes)).toBeUndefined()
    }),
  )
})

test.each([
  '{',
  '[]',
  'null',
  '{"key":1}',
  `{"key":"${key}","contentType":"a","etag":"b","createdAtMs":1,"facts":{"x":[]}}`,
])('a rightly sealed entry with the header %s is refused', async (header) => {
  const lengths = Buffer.alloc(8)
  lengths.writeUInt32LE(Buffer.byteLength(header), 0)
  const sealed = Buffer.concat([Buffer.from('HTC\u0001'), lengths, Buffer.from(header)])
  const bytes = Buffer.concat([sealed, createHash('sha256').update(sealed).digest()])
  expect(await decodeResult(key, bytes)).toBeUndefined()
})
