import { expect, test, vi } from 'vitest'
import { openOnce as openOnceUntil } from '../../../src/lib/open-once.ts'

const openOnce = <Value>(openIt: () => Promise<Value>) => openOnceUntil(openIt, () => new Error('closed'))

test('is opened with the first use, once for all who ask meanwhile and later', async () => {
  const openIt = vi.fn(async () => Promise.resolve({}))
  const once = openOnce(openIt)
  expect(openIt).not.toHaveBeenCalled()
  const [first, second] = await Promise.all([once.open(), once.open()])
  expect(second).toBe(first)
  expect(await once.open()).toBe(first)
  expect(openIt).toHaveBeenCalledTimes(1)
})

test('a failure reaches all who asked meanwhile, and the next one tries again', async () => {
  let tries = 0
  const once = openOnce(() => ((tries += 1) === 1 ? Promise.reject(new Error('no luck')) : Promise.resolve(tries)))
  for (const one of [once.open(), once.open()]) await expect(one).rejects.toThrow('no luck')
  expect(await once.open()).toBe(2)
})

test('lets go of what is open, or is being opened, and opens nothing any more', async () => {
  const release = vi.fn()
  const [open, unused, failed] = [
    openOnce(() => Promise.resolve('open')),
    openOnce(() => Promise.resolve('unused')),
    openOnce(() => Promise.reject(new Error('no luck'))),
  ]
  await open.open()
  let done = (_value: string) => {}
  const late = openOnce(() => new Promise<string>((resolve) => (done = resolve)))
  const asked = late.open()
  const failing = failed.open()
  const closing = Promise.all([open, unused, failed, late].map((one) => one.close(release)))
  await expect(failing).rejects.toThrow('no luck')
  done('late')
  expect(await asked).toBe('late')
  await closing
  expect(release.mock.calls.flat().sort()).toEqual(['late', 'open'])
  for (const one of [open, unused, failed, late]) await expect(one.open()).rejects.toThrow('closed')
})
