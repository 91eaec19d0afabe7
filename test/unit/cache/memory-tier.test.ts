import { expect, test } from 'vitest'
import { createMemoryTier } from '../../../src/cache/memory-tier.ts'
import { describeCacheTier } from '../../contract/cache-tier.contract.ts'
import { keyOf, resultFor } from '../../helpers/cache-bodies.ts'
import { patient } from '../../helpers/cache-fixtures.ts'

describeCacheTier('memory', () => createMemoryTier({ maxBytes: 8 * 1024 * 1024 }))

test('stays within its bytes and drops what was used longest ago', async () => {
  const tier = createMemoryTier({ maxBytes: 100_000 })
  for (let n = 0; n < 8; n += 1) await tier.set(keyOf(n), resultFor(keyOf(n), 9_000))
  await tier.get(keyOf(0), patient())
  for (let n = 8; n < 12; n += 1) await tier.set(keyOf(n), resultFor(keyOf(n), 9_000))

  expect(tier.stats().bytes).toBeLessThanOrEqual(100_000)
  expect(tier.stats().evicted).toBe(3)
  expect(await tier.get(keyOf(0), patient())).toBeDefined()
  expect(await tier.get(keyOf(1), patient())).toBeUndefined()
})

test('an entry that would throw out most others is not kept, and neither is the older one under its key', async () => {
  const tier = createMemoryTier({ maxBytes: 800_000 })
  await tier.set(keyOf('k'), resultFor(keyOf('k'), 1000))
  await tier.set(keyOf('k'), resultFor(keyOf('k'), 100_001))
  expect(await tier.get(keyOf('k'), patient())).toBeUndefined()
  expect(tier.stats()).toMatchObject({ entries: 0, dropped: 1 })
})

test('a body that is a slice of a large buffer does not keep that buffer alive', async () => {
  const tier = createMemoryTier({ maxBytes: 8_000_000 })
  const slab = Buffer.alloc(1_000_000, 7)
  await tier.set(keyOf('k'), { ...resultFor(keyOf('k')), body: slab.subarray(500, 700) })
  const kept = await tier.get(keyOf('k'), patient())
  expect(kept?.body.equals(slab.subarray(500, 700))).toBe(true)
  expect(kept?.body.buffer.byteLength).toBe(200)
})

test('a set is seen at once, before its promise resolves', async () => {
  const tier = createMemoryTier({ maxBytes: 8_000_000 })
  void tier.set(keyOf('k'), resultFor(keyOf('k')))
  expect(await tier.get(keyOf('k'), patient())).toBeDefined()
})

test('small entries are charged for more than their bytes', async () => {
  const tier = createMemoryTier({ maxBytes: 100_000 })
  for (let n = 0; n < 1000; n += 1) await tier.set(keyOf(n), resultFor(keyOf(n), 1))
  expect(tier.stats().entries).toBeLessThan(100)
})
