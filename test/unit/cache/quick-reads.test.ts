import { expect, test } from 'vitest'
import { createQuickReads } from '../../../src/cache/quick-reads.ts'

function setUp() {
  const clock = { ms: 1000, readTakesMs: 0, reads: 0 }
  const quick = createQuickReads({
    nowMs: () => clock.ms,
    read: (_fd, bytes) => {
      clock.ms += clock.readTakesMs
      clock.reads += 1
      return bytes.length
    },
  })
  return { clock, tryRead: (bytes = 20_000) => quick.into(3, Buffer.alloc(bytes), 0) }
}

test('small reads are done at once, large ones never', () => {
  const { clock, tryRead } = setUp()
  expect(tryRead()).toBe(20_000)
  expect(tryRead(10_000_000)).toBeUndefined()
  expect(clock.reads).toBe(1)
})

test('after one that took long, none is tried for a minute', () => {
  const { clock, tryRead } = setUp()
  clock.readTakesMs = 50
  expect(tryRead()).toBe(20_000)
  clock.readTakesMs = 0
  expect(tryRead()).toBeUndefined()
  clock.ms += 59_000
  expect(tryRead()).toBeUndefined()
  clock.ms += 2000
  expect(tryRead()).toBe(20_000)
})

test('one that fails after a long time counts, too', () => {
  let ms = 0
  const quick = createQuickReads({
    nowMs: () => ms,
    read: () => {
      ms += 50
      throw new Error('EIO')
    },
  })
  expect(() => quick.into(3, Buffer.alloc(9), 0)).toThrow('EIO')
  expect(quick.into(3, Buffer.alloc(9), 0)).toBeUndefined()
})
