import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { readBody } from '../../../src/sources/read-body.ts'

const signal = new AbortController().signal
const facts = { maxBytes: 100, idleTimeoutMs: 1000, encoding: undefined, announcedBytes: undefined }
const bodyOf = (...pieces: string[]) => Readable.from(pieces.map((piece) => Buffer.from(piece)))

test('a body is given whole', async () => {
  const bytes = await readBody(bodyOf('abc', 'def'), { ...facts, announcedBytes: 6 }, signal)
  expect(bytes.toString()).toBe('abcdef')
})

// undici tells by itself; the client of S3 need not.
test.each([5, 7])('a body of 6 bytes that was announced with %i is no whole one', async (announcedBytes) => {
  await expect(readBody(bodyOf('abc', 'def'), { ...facts, announcedBytes }, signal)).rejects.toMatchObject({
    code: 'source_truncated',
  })
})

test.each(['zstd', 'compress', 'gzip, br', 'constructor', 'toString'])(
  'the coding %s is refused, not taken for none',
  async (encoding) => {
    await expect(readBody(bodyOf('abc'), { ...facts, encoding }, signal)).rejects.toMatchObject({
      code: 'source_failed',
      details: { reason: 'content-encoding' },
    })
  },
)
