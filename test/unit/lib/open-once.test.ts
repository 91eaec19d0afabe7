import { expect, test, vi } from 'vitest'
import { openOnce } from '../../../src/lib/open-once.ts'

test('is opened with the first use, once for all who ask meanwhile and later', async () => {
  const openIt = vi.fn(async () => Promise.resolve({}))
  const once = openOnce(openIt)
  expect(await once.opened()).toBeUndefined()
  const [first, second] = await Promise.all([once.open(), once.open()])
  expect(second).toBe(first)
  expect(await once.open()).toBe(first)
  expect(await once.opened()).toBe(first)
  expect(openIt).toHaveBeenCalledTimes(1)
})

test('a failure reaches all who asked meanwhile, and the next one tries again', async () => {
  let tries = 0
  const once = openOnce(() => ((tries += 1) === 1 ? Promise.reject(new Error('no luck')) : Promise.resolve(tries)))
  const failing = [once.open(), once.open()]
  expect(await once.opened()).toBeUndefined()
  for (const one of failing) await expect(one).rejects.toThrow('no luck')
  expect(await once.open()).toBe(2)
})
