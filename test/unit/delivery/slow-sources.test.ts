import { describe, expect, test } from 'vitest'
import { createSlowSources, slowSourceLimits } from '../../../src/delivery/slow-sources.ts'

const never = new AbortController().signal

describe('slow sources', () => {
  test('are slow for a while after a renderer had to wait for them, and longer as long as they are', async () => {
    let nowMs = 0
    const slow = createSlowSources(() => nowMs)
    expect(slow.isSlow('folder')).toBe(false)
    slow.note('folder')
    expect([slow.isSlow('folder'), slow.isSlow('other')]).toEqual([true, false])
    nowMs += slowSourceLimits.keepMs - 1
    await slow.read('folder', never, () => Promise.resolve((nowMs += slowSourceLimits.slowReadMs + 1)))
    nowMs += slowSourceLimits.keepMs - 1
    await slow.read('folder', never, () => Promise.resolve('at once'))
    expect(slow.isSlow('folder')).toBe(true)
    nowMs += 1
    expect(slow.isSlow('folder')).toBe(false)
  })

  test('are read few at a time; whoever waits can leave', async () => {
    const slow = createSlowSources(() => 0)
    let reading = 0
    const hang = () => new Promise<never>(() => reading++)
    for (let index = 0; index < slowSourceLimits.readsAtOnce; index++) void slow.read('folder', never, hang)
    const impatient = slow.read('folder', AbortSignal.timeout(20), hang)
    await expect(impatient).rejects.toMatchObject({ code: 'source_timeout' })
    expect(reading).toBe(slowSourceLimits.readsAtOnce)
    for (let index = 0; index < slowSourceLimits.readsWaiting; index++) void slow.read('folder', never, hang)
    await expect(slow.read('folder', never, hang)).rejects.toMatchObject({ code: 'overloaded' })
  })

  test('give the place back when a read fails', async () => {
    const slow = createSlowSources(() => 0)
    for (let index = 0; index < 2 * slowSourceLimits.readsAtOnce; index++)
      await expect(slow.read('folder', never, () => Promise.reject(new Error('torn')))).rejects.toThrow('torn')
  })
})
