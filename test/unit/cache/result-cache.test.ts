import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { CacheTier } from '../../../src/cache/cache-tier.ts'
import type { CachedResult } from '../../../src/cache/cached-result.ts'
import { createMemoryTier } from '../../../src/cache/memory-tier.ts'
import { createResultCache, type CacheEvent } from '../../../src/cache/result-cache.ts'
import { keyOf, resultFor } from '../../helpers/cache-bodies.ts'
import { patient, recordingLog } from '../../helpers/cache-fixtures.ts'

const key = keyOf('result cache')
const picture = resultFor(key)

function memoryNamed(name: string): CacheTier {
  return { ...createMemoryTier({ maxBytes: 8_000_000 }), name }
}

function brokenTier(): CacheTier {
  const broken = () => Promise.reject(new Error('connection refused'))
  return { name: 'broken', get: broken, set: broken, delete: broken, close: () => Promise.resolve() }
}

function cacheOf(...tiers: CacheTier[]) {
  const log = recordingLog()
  const events: CacheEvent[] = []
  return { cache: createResultCache({ tiers, log, onEvent: (event) => void events.push(event) }), log, events }
}

test('a hit in a lower tier fills the ones above it', async () => {
  const [upper, lower] = [memoryNamed('upper'), memoryNamed('lower')]
  await lower.set(key, picture)
  const { cache } = cacheOf(upper, lower)
  expect(await cache.get(key, patient())).toEqual({ hit: true, tier: 'lower', result: picture })
  expect(await cache.get(key, patient())).toMatchObject({ hit: true, tier: 'upper' })
})

test('nowhere is a miss', async () => {
  expect(await cacheOf(memoryNamed('a'), memoryNamed('b')).cache.get(key, patient())).toEqual({ hit: false })
})

test('renders once, keeps it in every tier, and then hits', async () => {
  const [upper, lower] = [memoryNamed('upper'), memoryNamed('lower')]
  const { cache, events } = cacheOf(upper, lower)
  const render = () => Promise.resolve(picture)
  const first = await cache.getOrRender(key, render, patient())
  expect(first.outcome).toEqual({ kind: 'rendered', collapsed: false, stored: true })
  expect(await upper.get(key, patient())).toBe(picture)
  expect(await lower.get(key, patient())).toBe(picture)
  const second = await cache.getOrRender(key, () => Promise.reject(new Error('must not render')), patient())
  expect(second).toEqual({ result: picture, outcome: { kind: 'hit', tier: 'upper' } })
  expect(events).toEqual([{ kind: 'miss' }, { kind: 'hit', tier: 'upper' }])
})

test('a hundred at once: one render, the same object for all, the others collapsed', async () => {
  const { cache } = cacheOf(memoryNamed('memory'))
  let renders = 0
  const render = async () => {
    renders += 1
    await sleep(5)
    return resultFor(key)
  }
  const answers = await Promise.all(Array.from({ length: 100 }, () => cache.getOrRender(key, render, patient())))
  expect(renders).toBe(1)
  expect(new Set(answers.map(({ result }) => result)).size).toBe(1)
  expect(answers.filter(({ outcome }) => outcome.kind === 'rendered' && outcome.collapsed)).toHaveLength(99)
})

test('the client that caused the render leaves: the other one gets the picture and it is kept', async () => {
  const { cache } = cacheOf(memoryNamed('memory'))
  const leaving = new AbortController()
  const render = async (signal: AbortSignal) => {
    await sleep(20, undefined, { signal })
    return picture
  }
  const leader = cache.getOrRender(key, render, leaving.signal)
  const follower = cache.getOrRender(key, render, patient())
  leaving.abort(new Error('client left'))
  await expect(leader).rejects.toThrow('client left')
  expect((await follower).outcome).toMatchObject({ kind: 'rendered', collapsed: true })
  expect(await cache.get(key, patient())).toMatchObject({ hit: true })
})

test('all clients leave: the render is told to stop', async () => {
  const { cache } = cacheOf(memoryNamed('memory'))
  const leaving = new AbortController()
  const stopped = Promise.withResolvers<void>()
  const render = (signal: AbortSignal) => {
    signal.addEventListener('abort', () => stopped.resolve())
    return new Promise<CachedResult>(() => undefined)
  }
  const only = cache.getOrRender(key, render, leaving.signal)
  await sleep(5)
  leaving.abort(new Error('client left'))
  await expect(only).rejects.toThrow('client left')
  await stopped.promise
})

test('a failed render reaches everybody and leaves nothing behind', async () => {
  const { cache } = cacheOf(memoryNamed('memory'))
  const failure = new Error('undecodable')
  const waiters = [1, 2].map(() => cache.getOrRender(key, () => Promise.reject(failure), patient()))
  for (const waiter of waiters) await expect(waiter).rejects.toBe(failure)
  expect((await cache.getOrRender(key, () => Promise.resolve(picture), patient())).result).toBe(picture)
})

test('a tier that throws is a miss, warned about once, and counted each time', async () => {
  const { cache, log, events } = cacheOf(brokenTier(), memoryNamed('memory'))
  await cache.getOrRender(key, () => Promise.resolve(picture), patient())
  expect((await cache.getOrRender(key, () => Promise.resolve(picture), patient())).outcome).toEqual({
    kind: 'hit',
    tier: 'memory',
  })
  await cache.close()
  expect(log.events).toEqual(['cache_lookup_failed'])
  expect(events.filter((event) => event.kind === 'tier-failed')).toHaveLength(4)
})

test('the answer does not wait for a slow tier to store; close does', async () => {
  const gate = Promise.withResolvers<void>()
  const kept: string[] = []
  const slow: CacheTier = {
    ...memoryNamed('slow'),
    set: async (stored) => {
      await gate.promise
      kept.push(stored)
    },
  }
  const { cache } = cacheOf(slow)
  await cache.getOrRender(key, () => Promise.resolve(picture), patient())
  expect(kept).toEqual([])
  const closed = cache.close()
  gate.resolve()
  await closed
  expect(kept).toEqual([key])
})

test('without tiers everything is rendered and nothing claims to be stored', async () => {
  const { cache } = cacheOf()
  const { outcome } = await cache.getOrRender(key, () => Promise.resolve(picture), patient())
  expect(outcome).toEqual({ kind: 'rendered', collapsed: false, stored: false })
})
