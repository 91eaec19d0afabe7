import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openStores } from '../../../src/db/open-stores.ts'
import { AppError } from '../../../src/errors.ts'
import { createMessageDeliverer, type MessageDelivererDeps } from '../../../src/uploads/deliver-messages.ts'
import { retryPauseMs, retryPausesMs } from '../../../src/uploads/webhook-schedule.ts'
import { finishNew, owner } from '../../helpers/store-records.ts'
import { until } from '../../helpers/upload-api.ts'
import { webhookSecret } from '../../helpers/webhook-receiver.ts'

type Post = MessageDelivererDeps['post']
type Sent = Parameters<Post>[0]

const ok: Awaited<ReturnType<Post>> = { status: 200, headers: {} }
const answering = (status: number, headers = {}) => Promise.resolve({ status, headers })

/** A database of its own with a clock that stands, and as many messages as asked for. */
async function open(messages = 1) {
  const folder = mkdtempSync(join(tmpdir(), 'halftone-outbox-'))
  const clock = { nowMs: 1_000_000 }
  const stores = await openStores({ file: join(folder, 'halftone.sqlite'), now: () => clock.nowMs })
  onTestFinished(async () => {
    await stores.close()
    rmSync(folder, { recursive: true, force: true })
  })
  // An image that becomes ready is one message.
  const write = () => finishNew(stores)
  for (let written = 0; written < messages; written += 1) await write()
  const deliver = (post: Post, change: Partial<MessageDelivererDeps> = {}) => {
    const sent: Sent[] = []
    const counts: string[] = []
    const deliverer = createMessageDeliverer({
      outbox: stores.outbox,
      webhooks: stores.webhooks,
      config: {
        projects: { [owner.project]: { webhook: { url: 'https://app.example/hook', secret: webhookSecret } } as never },
      },
      post: (request, signal) => {
        sent.push(request)
        return post(request, signal)
      },
      ...{ drainMs: 1000, log: () => {}, count: (event) => void counts.push(event), now: () => clock.nowMs },
      random: () => 0,
      ...change,
      timing: { pollMs: 10, ...change.timing },
    })
    onTestFinished(() => deliverer.close())
    deliverer.start()
    return { deliverer, sent, counts }
  }
  const inState = (state: 'waiting' | 'delivered' | 'dead') => stores.outbox.list({ state, limit: 100 })
  return { stores, clock, write, deliver, inState }
}

test('the schedule is that of the specification: ten attempts, later with chance, never earlier', () => {
  const minutes = retryPausesMs.map((ms) => ms / 60_000)
  expect(minutes).toEqual([5 / 60, 5, 30, 120, 300, 600, 840, 1200, 1440])
  expect(retryPauseMs(1, 0, 0)).toBe(5000)
  expect(retryPauseMs(1, 0, 1)).toBe(5500)
  expect(retryPauseMs(2, 3_600_000, 0)).toBe(3_600_000)
  expect(retryPauseMs(1, 1e12, 0)).toBe(24 * 3_600_000)
  expect(retryPauseMs(9, 0, 0)).toBe(24 * 3_600_000)
  expect(retryPauseMs(10, 0, 0)).toBeUndefined()
})

test('a message that fails each time is tried ten times over three days, always with its id, and then dead', async () => {
  const { deliver, clock, inState } = await open()
  const { sent, counts } = deliver(() => answering(500))
  for (const pauseMs of [0, ...retryPausesMs]) {
    const before = counts.length
    if (pauseMs > 0) {
      clock.nowMs += pauseMs - 1
      await new Promise((resolve) => setTimeout(resolve, 40))
      expect(sent.length).toBe(before)
      clock.nowMs += 1
    }
    await until(() => counts.length === before + 1, 'the next attempt')
  }
  clock.nowMs += 1e9
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(sent).toHaveLength(10)
  expect(new Set(sent.map(({ headers }) => headers['webhook-id'])).size).toBe(1)
  expect(new Set(sent.map(({ body }) => body)).size).toBe(1)
  expect(new Set(sent.map(({ headers }) => headers['webhook-signature'])).size).toBe(10)
  expect(counts).toEqual([...Array<string>(9).fill('message_failed'), 'message_dead'])
  expect(await inState('dead')).toMatchObject([{ attempts: 10, lastError: 'answered 500' }])
})

test.each([200, 202, 204, 299])('%i is delivered', async (status) => {
  const { deliver, inState } = await open()
  const { counts } = deliver(() => answering(status))
  await until(() => counts.length === 1, 'an end')
  expect(await inState('delivered')).toHaveLength(1)
})

test.each([
  ['a redirect', () => answering(302, { location: 'https://elsewhere.example/' }), 'answered 302'],
  ['a refusal', () => answering(400), 'answered 400'],
  ['nobody there', () => Promise.reject(new AppError('source_unreachable')), 'source_unreachable: '],
])('%s is tried again', async (_, post, error) => {
  const { deliver, inState, clock } = await open()
  const { counts } = deliver(post)
  await until(() => counts.length === 1, 'an end')
  expect(await inState('waiting')).toMatchObject([
    { lastError: expect.stringContaining(error) as string, nextAttemptAtMs: clock.nowMs + 5000 },
  ])
})

test('who asks for more time gets it', async () => {
  const { deliver, inState, clock } = await open()
  const { counts } = deliver(() => answering(429, { 'retry-after': '120' }))
  await until(() => counts.length === 1, 'an end')
  expect(await inState('waiting')).toMatchObject([{ nextAttemptAtMs: clock.nowMs + 120_000 }])
})

test.each([
  ['410 Gone', () => answering(410), {}],
  [
    'a project without a webhook',
    () => Promise.resolve(ok),
    { config: { projects: { default: { webhook: undefined } as never } } },
  ],
])('%s is the end at once', async (_, post, change) => {
  const { deliver, inState } = await open()
  const { counts } = deliver(post, change)
  await until(() => counts.includes('message_dead'), 'an end')
  expect(await inState('dead')).toHaveLength(1)
})

test('a webhook that is gone is left alone, also after a restart, until it is configured otherwise', async () => {
  const { deliver, inState, write } = await open(3)
  const first = deliver(() => answering(410), { timing: { pollMs: 5 } })
  await until(async () => (await inState('dead')).length === 3, 'the ends')
  // Those that were under way when the first was answered.
  const sent = first.sent.length
  expect(first.counts.filter((event) => event === 'webhook_disabled')).toHaveLength(1)
  await first.deliverer.close()
  await write()
  const second = deliver(() => Promise.resolve(ok))
  await until(async () => (await inState('dead')).length === 4, 'the end of another')
  expect([sent, second.sent.length]).toEqual([sent, 0])
  await second.deliverer.close()
  await write()
  const webhook = { url: 'https://app.example/new-hook', secret: webhookSecret }
  const third = deliver(() => Promise.resolve(ok), { config: { projects: { [owner.project]: { webhook } as never } } })
  await until(async () => (await inState('delivered')).length === 1, 'a delivery')
  expect(third.sent).toHaveLength(1)
})

test('what a killed process had in hand is sent again after its lease, and not before', async () => {
  const { stores, deliver, clock, inState } = await open()
  // Taken by a process that is killed there and then.
  expect(await stores.outbox.take(1, clock.nowMs, 20_000)).toHaveLength(1)
  const { sent } = deliver(() => Promise.resolve(ok))
  clock.nowMs += 19_999
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(sent).toEqual([])
  clock.nowMs += 1
  await until(async () => (await inState('delivered')).length === 1, 'the delivery')
  expect(sent).toHaveLength(1)
})

test('a written message is sent at once when the deliverer is woken', async () => {
  const { deliver, write, inState } = await open(0)
  const { deliverer, sent } = deliver(() => Promise.resolve(ok), { timing: { pollMs: 3_600_000 } })
  await new Promise((resolve) => setTimeout(resolve, 50))
  await write()
  deliverer.wake()
  await until(async () => (await inState('delivered')).length === 1, 'the delivery')
  expect(sent).toHaveLength(1)
})

test('a receiver that never answers is left at the deadline, and holds up 16 messages at most', async () => {
  const { deliver, inState, clock } = await open(40)
  let atOnce = 0
  let most = 0
  const { counts } = deliver(
    (_request, signal) => {
      most = Math.max(most, (atOnce += 1))
      return new Promise((_resolve, reject) =>
        signal.addEventListener('abort', () => {
          atOnce -= 1
          reject(signal.reason as Error)
        }),
      )
    },
    { timing: { attemptMs: 100 } },
  )
  await until(() => counts.length === 40, 'all attempts')
  expect(most).toBe(16)
  const waiting = await inState('waiting')
  expect(waiting).toHaveLength(40)
  expect(waiting.every(({ nextAttemptAtMs }) => nextAttemptAtMs === clock.nowMs + 5000)).toBe(true)
})

test('a receiver that never answers does not keep other projects waiting', async () => {
  const { deliver, stores, inState } = await open(100)
  await finishNew(stores, { upload: { project: 'other' } })
  const webhook = (host: string) => ({ webhook: { url: `https://${host}/hook`, secret: webhookSecret } }) as never
  const { sent } = deliver(
    (request, signal) =>
      request.url.host === 'quick'
        ? Promise.resolve(ok)
        : new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
    { config: { projects: { [owner.project]: webhook('slow'), other: webhook('quick') } }, drainMs: 0 },
  )
  await until(async () => (await inState('delivered')).length === 1, 'the message of the other project')
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(sent.filter(({ url }) => url.host === 'slow')).toHaveLength(16)
})

test('an attempt that a shutdown breaks off is the first thing of the next start', async () => {
  const { deliver, inState, clock } = await open()
  const { deliverer, sent } = deliver(
    (_request, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
    { drainMs: 20 },
  )
  await until(() => sent.length === 1, 'an attempt')
  await deliverer.close()
  expect(await inState('waiting')).toMatchObject([{ nextAttemptAtMs: clock.nowMs }])
})

test('two processes do not send the same message', async () => {
  const { deliver, inState } = await open(30)
  const both = [deliver(() => Promise.resolve(ok)), deliver(() => Promise.resolve(ok))]
  await until(async () => (await inState('delivered')).length === 30, 'all deliveries')
  const ids = both.flatMap(({ sent }) => sent.map(({ headers }) => headers['webhook-id']))
  expect([ids.length, new Set(ids).size]).toEqual([30, 30])
})

test('what was delivered is forgotten in time', async () => {
  const { deliver, inState, clock } = await open()
  const { counts, deliverer } = deliver(() => Promise.resolve(ok))
  await until(() => counts.length === 1, 'the delivery')
  clock.nowMs += 8 * 24 * 3_600_000
  deliverer.wake()
  await until(async () => (await inState('delivered')).length === 0, 'oblivion')
})
