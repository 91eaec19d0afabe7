import { describe, expect, onTestFinished, test } from 'vitest'
import type { CacheTier } from '../../src/cache/cache-tier.ts'
import { keyOf, resultFor } from '../helpers/cache-bodies.ts'
import { patient } from '../helpers/cache-fixtures.ts'

/** What every tier promises; `openTier` makes an empty one with room for some megabytes. */
export function describeCacheTier(name: string, openTier: () => CacheTier): void {
  const open = () => {
    const tier = openTier()
    onTestFinished(() => tier.close())
    return tier
  }

  describe(`${name}: the contract of a cache tier`, () => {
    test('a key never stored is a miss', async () => {
      expect(await open().get(keyOf('absent'), patient())).toBeUndefined()
    })

    test('what was stored comes back whole, facts and every byte value included', async () => {
      const tier = open()
      const result = { ...resultFor(keyOf('a')), body: Buffer.from(Array.from({ length: 512 }, (_, at) => at % 256)) }
      await tier.set(keyOf('a'), result)
      expect(await tier.get(keyOf('a'), patient())).toEqual(result)
    })

    test('an empty body and a body of half a megabyte are kept', async () => {
      const tier = open()
      for (const size of [0, 512 * 1024]) {
        await tier.set(keyOf(size), resultFor(keyOf(size), size))
        expect((await tier.get(keyOf(size), patient()))?.body.equals(resultFor(keyOf(size), size).body)).toBe(true)
      }
    })

    test('a later set replaces an earlier one, also when both run at once', async () => {
      const tier = open()
      const sizes = [100, 5000, 1, 9000, 300]
      await Promise.all(sizes.map((size) => tier.set(keyOf('k'), resultFor(keyOf('k'), size))))
      expect((await tier.get(keyOf('k'), patient()))?.body.length).toBe(300)
    })

    test('a deleted key is a miss; deleting an absent one is fine', async () => {
      const tier = open()
      await tier.set(keyOf('k'), resultFor(keyOf('k')))
      await tier.delete(keyOf('k'))
      await tier.delete(keyOf('k'))
      expect(await tier.get(keyOf('k'), patient())).toBeUndefined()
    })

    test('fifty keys written and read at once do not mix', async () => {
      const tier = open()
      const keys = Array.from({ length: 50 }, (_, n) => keyOf(`parallel ${n}`))
      await Promise.all(keys.map((key) => tier.set(key, resultFor(key))))
      const results = await Promise.all(keys.map((key) => tier.get(key, patient())))
      expect(results.map((result) => result?.etag)).toEqual(keys.map((key) => `"${key}"`))
    })

    test('one who has left gets the reason, not an answer', async () => {
      const left = new Error('client left')
      await expect(open().get(keyOf('k'), AbortSignal.abort(left))).rejects.toBe(left)
    })

    test('after close everything is a miss and nothing throws', async () => {
      const tier = open()
      await tier.close()
      await tier.close()
      await tier.set(keyOf('k'), resultFor(keyOf('k')))
      await tier.delete(keyOf('k'))
    })
  })
}
