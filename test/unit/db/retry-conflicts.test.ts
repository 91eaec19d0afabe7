import { expect, onTestFinished, test, vi } from 'vitest'
import { openStores } from '../../../src/db/open-stores.ts'
import { retryConflicts } from '../../../src/db/retry-conflicts.ts'
import type { Stores } from '../../../src/db/stores.ts'

const rules = {
  isConflict: (error: unknown) => error instanceof RangeError || error instanceof SyntaxError,
  isPassing: (error: unknown) => error instanceof RangeError,
}

/** Stores whose secrets fail so often first. */
async function failing(error: Error, times: number) {
  const stores = await openStores({ file: ':memory:' })
  onTestFinished(() => stores.close())
  let left = times
  const getOrCreate = vi.fn<Stores['secrets']['getOrCreate']>((...given) =>
    left-- > 0 ? Promise.reject(error) : stores.secrets.getOrCreate(...given),
  )
  return { stores: retryConflicts({ ...stores, secrets: { getOrCreate } }, rules), getOrCreate }
}

test('a conflict is met again until it is over', async () => {
  const { stores, getOrCreate } = await failing(new RangeError('deadlock'), 4)
  expect(await stores.secrets.getOrCreate('name', 'value')).toBe('value')
  expect(getOrCreate).toHaveBeenCalledTimes(5)
  expect(getOrCreate).toHaveBeenLastCalledWith('name', 'value')
})

test('one that does not end is told: as too much work where it passes, else as what it is', async () => {
  const endless = await failing(new RangeError('deadlock'), 100)
  await expect(endless.stores.secrets.getOrCreate('a', 'b')).rejects.toMatchObject({ code: 'overloaded' })
  expect(endless.getOrCreate).toHaveBeenCalledTimes(5)
  const fault = await failing(new SyntaxError('is there already'), 100)
  await expect(fault.stores.secrets.getOrCreate('a', 'b')).rejects.toThrow('is there already')
})

test('nothing else is done twice, and the change mark stays a number', async () => {
  const { stores, getOrCreate } = await failing(new Error('disk full'), 1)
  await expect(stores.secrets.getOrCreate('a', 'b')).rejects.toThrow('disk full')
  expect(getOrCreate).toHaveBeenCalledTimes(1)
  expect(stores.images.changeMark()).toBe(stores.images.changeMark())
})
