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

test('after one that took long, none is tried for a second; for up to a minute when that goes on', () => {
  const { clock, tryRead } = setUp()
  const pauseAfterSlowRead = () => {
    clock.readTakesMs = 50
    expect(tryRead()).toBe(20_000)
    clock.readTakesMs = 0
    const startedMs = clock.ms
    while (tryRead() === undefined) clock.ms += 100
    return Math.round((clock.ms - startedMs) / 1000)
  }
  expect([1, 2, 3, 4, 5, 6, 7, 8, 9].map(pauseAfterSlowRead)).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60])
  clock.ms += 61_000
  expect(pauseAfterSlowRead()).toBe(1)
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
