import { describe, expect, test } from 'vitest'
import { openStores } from '../../../src/db/open-stores.ts'
import { createEmbeddedQueue, type JobTable } from '../../../src/jobs/embedded-queue.ts'
import { nextTry, retryDelayMs } from '../../../src/jobs/retry-delay.ts'
import { describeJobQueue } from '../../contract/job-queue.contract.ts'
import { embeddedQueues } from '../../helpers/embedded-queues.ts'

const log = { warn: () => undefined }
const isOutage = (error: unknown) => error instanceof RangeError

describeJobQueue(
  'embedded',
  embeddedQueues(() => openStores({ file: ':memory:' })),
)

test('a queue that lost its lease stops the job and settles nothing', async () => {
  const stores = await openStores({ file: ':memory:' })
  const stopped = Promise.withResolvers<unknown>()
  const base = {
    isOutage,
    retryForMs: 0,
    concurrency: 1,
    maxAttempts: 3,
    jobTimeoutMs: 5_000,
    pollMs: 20,
    drainMs: 50,
    log,
  }
  const queue = createEmbeddedQueue({ ...base, table: stores.jobs, leaseMs: 90, retryMs: { first: 1, longest: 1 } })
  queue.work({
    draw: (_, signal) =>
      new Promise(() => signal.addEventListener('abort', () => stopped.resolve(signal.reason), { once: true })),
  })
  await queue.add('draw', {}, { dedupeKey: 'a' })
  while ((await stores.jobs.stats()).running === 0) await new Promise(setImmediate)
  const future = Date.now() + 60_000
  const thief = await stores.jobs.take(['draw'], future, future + 60_000)
  expect(thief).toMatchObject({ attempt: 2 })
  expect(String(await stopped.promise)).toContain('lease')
  await queue.close()
  expect(await stores.jobs.stats()).toEqual({ waiting: 0, running: 1, dead: 0 })
  expect(thief && (await stores.jobs.done(thief))).toBe(true)
  await stores.close()
})

test('a table that fails for a while stops nothing', async () => {
  const stores = await openStores({ file: ':memory:' })
  let failures = 3
  const take: JobTable['take'] = (...asked) =>
    failures-- > 0 ? Promise.reject(new Error('disk I/O error')) : stores.jobs.take(...asked)
  const base = {
    isOutage,
    retryForMs: 0,
    concurrency: 1,
    maxAttempts: 3,
    jobTimeoutMs: 5_000,
    leaseMs: 1_000,
    pollMs: 10,
    drainMs: 50,
    log,
  }
  const queue = createEmbeddedQueue({ ...base, table: { ...stores.jobs, take }, retryMs: { first: 1, longest: 1 } })
  const ran = Promise.withResolvers<void>()
  queue.work({ draw: () => Promise.resolve(ran.resolve()) })
  await queue.add('draw', {}, { dedupeKey: 'a' })
  await ran.promise
  await queue.close()
  await stores.close()
})

test.each([
  [1, 0, 500],
  [1, 1, 1_000],
  [3, 1, 4_000],
  [3, 0.5, 3_000],
  [50, 1, 60_000],
])('the pause after try %i, drawn %d, is %i ms', (attempt, random, expected) => {
  expect(retryDelayMs(attempt, { first: 1_000, longest: 60_000 }, random)).toBe(expected)
})

describe('what follows a failed try', () => {
  const rules = { maxAttempts: 3, retryForMs: 3_600_000, retryMs: { first: 1_000, longest: 300_000 } }
  test.each([
    ['a fault counts', { kind: 'fault', attempt: 2, ageMs: 0 }, { delayMs: 2_000, counts: true }],
    ['the last fault ends it, however young', { kind: 'fault', attempt: 3, ageMs: 0 }, undefined],
    ['an outage does not count', { kind: 'outage', attempt: 3, ageMs: 0 }, { delayMs: 1_000, counts: false }],
    ['its pause grows with the age', { kind: 'outage', attempt: 1, ageMs: 60_000 }, { delayMs: 60_000, counts: false }],
    ['up to the longest', { kind: 'outage', attempt: 1, ageMs: 3_599_999 }, { delayMs: 300_000, counts: false }],
    ['too long an outage ends it', { kind: 'outage', attempt: 1, ageMs: 3_600_000 }, undefined],
    ['what was stopped goes on', { kind: 'stopped', attempt: 3, ageMs: 9e9 }, { delayMs: 0, counts: false }],
  ] as const)('%s', (_, failed, expected) => {
    expect(nextTry(failed, rules, 1)).toEqual(expected)
  })
})
