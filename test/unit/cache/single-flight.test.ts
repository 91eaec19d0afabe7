import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { createSingleFlight } from '../../../src/cache/single-flight.ts'

/** Work that ends when told to, and knows what was done to it. */
function workUnderControl() {
  const outcome = Promise.withResolvers<string>()
  const seen = { starts: 0, signal: undefined as AbortSignal | undefined }
  const work = (signal: AbortSignal) => {
    seen.starts += 1
    seen.signal = signal
    return outcome.promise
  }
  return { work, seen, ...outcome }
}

const patient = () => new AbortController().signal

describe('single flight', () => {
  test('a hundred at once share one piece of work; one of them led', async () => {
    const flights = createSingleFlight<string>()
    const { work, seen, resolve } = workUnderControl()
    const all = Array.from({ length: 100 }, () => flights.run('k', work, patient()))
    await sleep(1)
    resolve('picture')
    const results = await Promise.all(all)
    expect(seen.starts).toBe(1)
    expect(results.map(({ role }) => role).filter((role) => role === 'leader')).toHaveLength(1)
    expect(new Set(results.map(({ value }) => value))).toEqual(new Set(['picture']))
    expect(flights.size()).toBe(0)
  })

  test('different keys do not wait for each other', async () => {
    const flights = createSingleFlight<string>()
    const slow = workUnderControl()
    const first = flights.run('slow', slow.work, patient())
    expect(await flights.run('quick', () => Promise.resolve('done'), patient())).toEqual({
      value: 'done',
      role: 'leader',
    })
    slow.resolve('late')
    await first
  })

  test('when the leader leaves, the followers still get the picture, and the work is not aborted', async () => {
    const flights = createSingleFlight<string>()
    const { work, seen, resolve } = workUnderControl()
    const leaving = new AbortController()
    const leader = flights.run('k', work, leaving.signal)
    const follower = flights.run('k', work, patient())
    await sleep(1)
    leaving.abort(new Error('client left'))
    await expect(leader).rejects.toThrow('client left')
    expect(seen.signal?.aborted).toBe(false)
    resolve('picture')
    expect(await follower).toEqual({ value: 'picture', role: 'follower' })
    expect(seen.starts).toBe(1)
  })

  test('when all have left the work is aborted, and whoever comes next starts anew', async () => {
    const flights = createSingleFlight<string>()
    const { work, seen, reject } = workUnderControl()
    const leaving = [new AbortController(), new AbortController()]
    const waiters = leaving.map(({ signal }) => flights.run('k', work, signal))
    await sleep(1)
    for (const controller of leaving) controller.abort(new Error('client left'))
    expect(await Promise.allSettled(waiters)).toMatchObject([{ status: 'rejected' }, { status: 'rejected' }])
    expect(seen.signal?.aborted).toBe(true)
    expect(flights.size()).toBe(0)

    const next = flights.run('k', () => Promise.resolve('fresh'), patient())
    reject(new Error('aborted work ends late'))
    expect(await next).toEqual({ value: 'fresh', role: 'leader' })
  })

  test('a failure is shared by those present, and not remembered', async () => {
    const flights = createSingleFlight<string>()
    const { work, reject } = workUnderControl()
    const waiters = [1, 2, 3].map(() => flights.run('k', work, patient()))
    const failure = new Error('undecodable')
    reject(failure)
    for (const waiter of waiters) await expect(waiter).rejects.toBe(failure)
    expect((await flights.run('k', () => Promise.resolve('second try'), patient())).value).toBe('second try')
  })

  test('work that throws before its first await is a failure like any other', async () => {
    const flights = createSingleFlight<string>()
    const broken = () => {
      throw new Error('at once')
    }
    await expect(flights.run('k', broken, patient())).rejects.toThrow('at once')
    expect(flights.size()).toBe(0)
  })

  test('a signal that is aborted already starts nothing', async () => {
    const flights = createSingleFlight<string>()
    const { work, seen } = workUnderControl()
    await expect(flights.run('k', work, AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone')
    expect(seen.starts).toBe(0)
  })

  test('too many keys at once are refused as overload; joining is always possible', async () => {
    const flights = createSingleFlight<string>({ maxFlights: 1 })
    const { work, resolve } = workUnderControl()
    const first = flights.run('a', work, patient())
    await expect(flights.run('b', work, patient())).rejects.toMatchObject({ code: 'overloaded' })
    const joined = flights.run('a', work, patient())
    resolve('picture')
    expect((await Promise.all([first, joined])).map(({ role }) => role)).toEqual(['leader', 'follower'])
  })
})
