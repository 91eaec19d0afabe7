import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { createKeyLocks } from '../../../src/cache/key-locks.ts'
import { createOutageLog } from '../../../src/cache/outage-log.ts'
import { createSlots } from '../../../src/lib/slots.ts'
import { withinDeadline } from '../../../src/cache/within-deadline.ts'
import { patient, recordingLog } from '../../helpers/cache-fixtures.ts'

describe('slots', () => {
  test('hold back what comes on top, in order, and refuse what would wait too long a line', async () => {
    const slots = createSlots({ active: 1, waiting: 2 })
    const order: string[] = []
    const release = await slots.take(patient())
    const second = slots.take(patient()).then((next) => (order.push('second'), next))
    const third = slots.take(patient()).then((next) => (order.push('third'), next))
    expect(await slots.take(patient())).toBeUndefined()
    expect(order).toEqual([])
    release?.()
    release?.()
    const next = await second
    await sleep(1)
    expect(order).toEqual(['second'])
    next?.()
    await third
    expect(order).toEqual(['second', 'third'])
  })

  test('one who leaves the line frees their place in it', async () => {
    const slots = createSlots({ active: 1, waiting: 1 })
    const release = await slots.take(patient())
    const leaving = new AbortController()
    const left = slots.take(leaving.signal)
    leaving.abort()
    expect(await left).toBeUndefined()
    const waiting = slots.take(patient())
    release?.()
    expect(await waiting).toBeTypeOf('function')
  })
})

describe('a deadline', () => {
  test('gives up on time and tells the work', async () => {
    const told = Promise.withResolvers<unknown>()
    const never = (signal: AbortSignal) => {
      signal.addEventListener('abort', () => told.resolve(signal.reason))
      return new Promise<never>(() => undefined)
    }
    await expect(withinDeadline(5, undefined, never)).rejects.toMatchObject({ name: 'TimeoutError' })
    expect(await told.promise).toMatchObject({ name: 'TimeoutError' })
  })

  test('passes on the value, the failure, or the reason of a caller who left', async () => {
    const failure = new Error('no such disk')
    expect(await withinDeadline(1000, patient(), () => Promise.resolve('value'))).toBe('value')
    await expect(withinDeadline(1000, patient(), () => Promise.reject(failure))).rejects.toBe(failure)
    const leaving = new AbortController()
    const waiting = withinDeadline(1000, leaving.signal, () => new Promise(() => undefined))
    leaving.abort(failure)
    await expect(waiting).rejects.toBe(failure)
  })
})

test('holders of a key come one after the other, others at once; a failing one does not block', async () => {
  const locks = createKeyLocks()
  const order: string[] = []
  const step = (name: string, ms: number) => async () => {
    await sleep(ms)
    order.push(name)
  }
  const first = locks.hold(['a', 'b'], step('ab', 10))
  const failing = locks.hold(['b'], () => Promise.reject(new Error('no')))
  const third = locks.hold(['b'], step('b', 0))
  await locks.hold(['c'], step('c', 0))
  expect(locks.isHeld('b')).toBe(true)
  await expect(failing).rejects.toThrow('no')
  await Promise.all([first, third])
  expect(order).toEqual(['c', 'ab', 'b'])
  expect(locks.isHeld('b')).toBe(false)
})

test('an outage is logged once, however often a success interrupts it, and its end after a quiet minute', () => {
  vi.useFakeTimers({ now: 0 })
  onTestFinished(() => void vi.useRealTimers())
  const log = recordingLog()
  const outage = createOutageLog({ log, tier: 'disk', doing: 'write' })
  for (let second = 0; second < 100; second += 1) {
    vi.setSystemTime(second * 1000)
    outage.failed(new Error('full'))
    outage.succeeded()
  }
  expect(log.events).toEqual(['cache_write_failed'])
  vi.setSystemTime(160_000)
  outage.succeeded()
  outage.failed(new Error('full again'))
  expect(log.events).toEqual(['cache_write_failed', 'cache_write_recovered', 'cache_write_failed'])
  expect(outage.count()).toBe(101)
})
