import { describe, expect, test } from 'vitest'
import { createSlowSources, slowSourceLimits } from '../../../src/delivery/slow-sources.ts'

const never = new AbortController().signal

function setUp() {
  const clock = { nowMs: 0 }
  const told: string[] = []
  const slow = createSlowSources({ nowMs: () => clock.nowMs, onSlow: (name) => void told.push(name) })
  return { slow, clock, told }
}

describe('slow sources', () => {
  test('are slow for a while after a renderer had to wait for them, and longer as long as they are; told once', async () => {
    const { slow, clock, told } = setUp()
    expect(slow.isSlow('folder')).toBe(false)
    slow.note('folder')
    slow.note('folder')
    expect([slow.isSlow('folder'), slow.isSlow('other')]).toEqual([true, false])
    clock.nowMs += slowSourceLimits.keepMs - 1
    await slow.read('folder', never, () => Promise.resolve((clock.nowMs += slowSourceLimits.slowReadMs + 1)))
    clock.nowMs += slowSourceLimits.keepMs - 1
    await slow.read('folder', never, () => Promise.resolve('at once'))
    expect(slow.isSlow('folder')).toBe(true)
    expect(told).toEqual(['folder'])
    clock.nowMs += 1
    expect(slow.isSlow('folder')).toBe(false)
    slow.note('folder')
    expect(told).toEqual(['folder', 'folder'])
  })

  test('are read few at a time, one of them fewer; whoever waits can leave', async () => {
    const { slow } = setUp()
    const reading: string[] = []
    const hang = (name: string, signal = never) =>
      slow.read(name, signal, () => new Promise<never>(() => reading.push(name)))
    const { readsAtOnce, readsOfOne, readsWaiting } = slowSourceLimits
    for (let index = 0; index < readsOfOne + readsWaiting; index++) void hang('dead')
    await expect(hang('dead')).rejects.toMatchObject({ code: 'overloaded' })
    expect(await slow.read('other', never, () => Promise.resolve('read'))).toBe('read')
    for (let index = 0; index < readsOfOne; index++) void hang('other')
    await expect(hang('other', AbortSignal.timeout(20))).rejects.toMatchObject({ code: 'source_timeout' })
    await expect(hang('third', AbortSignal.timeout(20))).rejects.toMatchObject({ code: 'source_timeout' })
    const half = (name: string) => Array<string>(readsOfOne).fill(name)
    expect(reading).toEqual([...half('dead'), ...half('other')])
    expect(readsAtOnce).toBe(2 * readsOfOne)
  })

  test('give the places back when a read fails, and when one leaves between two of them', async () => {
    const { slow } = setUp()
    const { readsAtOnce, readsOfOne } = slowSourceLimits
    for (let index = 0; index < 2 * readsAtOnce; index++)
      await expect(slow.read('folder', never, () => Promise.reject(new Error('torn')))).rejects.toThrow('torn')
    const ends = Promise.withResolvers<string>()
    const filling = ['one', 'two'].flatMap((name) =>
      Array.from({ length: readsOfOne }, () => slow.read(name, never, () => ends.promise)),
    )
    for (let index = 0; index < readsOfOne; index++)
      await expect(slow.read('third', AbortSignal.timeout(10), () => ends.promise)).rejects.toMatchObject({
        code: 'source_timeout',
      })
    ends.resolve('read')
    await Promise.all(filling)
    expect(await slow.read('third', AbortSignal.timeout(1000), () => Promise.resolve('read'))).toBe('read')
  })
})
