import { expect, test } from 'vitest'
import { createLockWait } from '../../../src/db/lock-wait.ts'

const busy = (code: string) => Object.assign(new Error('database is locked'), { code })

test.each(['SQLITE_BUSY', 'SQLITE_BUSY_RECOVERY', 'SQLITE_BUSY_SNAPSHOT'])('%s is tried again', async (code) => {
  let left = 3
  const work = () => {
    if (left-- > 0) throw busy(code)
    return 'done'
  }
  expect(await createLockWait(5000).untilFree(work)).toBe('done')
})

test('what is no lock fails at once', async () => {
  let tries = 0
  const work = () => {
    tries += 1
    throw busy('SQLITE_FULL')
  }
  await expect(createLockWait(5000).untilFree(work)).rejects.toMatchObject({ code: 'SQLITE_FULL' })
  expect(tries).toBe(1)
})

test('a lock that stays becomes an answer that may be asked for again', async () => {
  const work = () => Promise.reject(busy('SQLITE_BUSY'))
  await expect(createLockWait(30).untilFree(work)).rejects.toMatchObject({ code: 'overloaded', retryable: true })
})

test('one asks for all who wait, and each gives up in its own time', async () => {
  let asked = 0
  let isFree = false
  const lock = createLockWait(5000)
  const shared = lock.share(() => {
    asked += 1
    return isFree
  })
  const patient = Array.from({ length: 50 }, () => shared.join(lock.deadline()))
  await expect(shared.join(performance.now() + 30)).rejects.toMatchObject({ status: 503 })
  expect(shared.isOn()).toBe(true)
  isFree = true
  await Promise.all(patient)
  expect(shared.isOn()).toBe(false)
  expect(asked).toBeLessThan(30)
})
