import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { AppError, type ErrorCode } from '../../../src/errors.ts'
import { createFallbackOrigin, type FallbackOptions } from '../../../src/sources/fallback-origin.ts'
import type { RemoteOrigin, Validators } from '../../../src/sources/remote-origin.ts'

const signal = new AbortController().signal

function originThat(name: string, outcome: { now: ErrorCode | 'absent' | 'there' }) {
  const seen: (Validators | undefined)[] = []
  const origin: RemoteOrigin = {
    name,
    fetch(_path, validators) {
      seen.push(validators)
      if (outcome.now === 'absent') return Promise.resolve({ kind: 'absent' })
      if (outcome.now !== 'there') return Promise.reject(new AppError(outcome.now))
      const bytes = Buffer.from(name)
      return Promise.resolve({
        kind: 'modified',
        bytes,
        lastModifiedMs: 0,
        validators: { origin: name },
        freshSeconds: 1,
      })
    },
    close: () => Promise.resolve(),
  }
  return { origin, seen, outcome }
}

function pair(
  first: ErrorCode | 'absent' | 'there',
  second: ErrorCode | 'absent' | 'there',
  changes: Partial<FallbackOptions> = {},
) {
  const events: string[] = []
  const cdn = originThat('cdn', { now: first })
  const bucket = originThat('bucket', { now: second })
  const origin = createFallbackOrigin([cdn.origin, bucket.origin], {
    whenAbsent: false,
    onEvent: (event, name) => void events.push(`${event} ${name}`),
    breaker: { failuresToOpen: 3, openMs: 50 },
    ...changes,
  })
  const fetch = async (validators?: Validators) => {
    const fetched = await origin.fetch('/a', validators, signal)
    return fetched.kind === 'modified' ? fetched.bytes.toString() : fetched.kind
  }
  return { cdn, bucket, events, fetch }
}

test('the first answers while it can', async () => {
  const { fetch, bucket, events } = pair('there', 'there')
  expect(await fetch()).toBe('cdn')
  expect(bucket.seen).toHaveLength(0)
  expect(events).toEqual([])
})

test.each([
  'source_failed',
  'source_unreachable',
  'source_timeout',
  'source_truncated',
  'source_redirects',
  'source_denied',
] as const)('%s of the first lets the second answer, and that is counted', async (code) => {
  const { fetch, events } = pair(code, 'there')
  expect(await fetch()).toBe('bucket')
  expect(events).toEqual(['fallback_used bucket'])
})

test.each(['source_address_refused', 'source_too_large', 'source_loop'] as const)('%s is final', async (code) => {
  const { fetch, bucket } = pair(code, 'there')
  await expect(fetch()).rejects.toMatchObject({ code })
  expect(bucket.seen).toHaveLength(0)
})

test('absence is an answer, unless the configuration says otherwise', async () => {
  expect(await pair('absent', 'there').fetch()).toBe('absent')
  expect(await pair('absent', 'there', { whenAbsent: true }).fetch()).toBe('bucket')
  expect(await pair('absent', 'absent', { whenAbsent: true }).fetch()).toBe('absent')
})

test('absence behind a failure proves nothing', async () => {
  await expect(pair('source_failed', 'absent').fetch()).rejects.toMatchObject({ code: 'source_failed' })
})

test('the last failure is told when all fail', async () => {
  await expect(pair('source_timeout', 'source_failed').fetch()).rejects.toMatchObject({ code: 'source_failed' })
})

test('a first choice that keeps failing is skipped for a while, then tried by one request', async () => {
  const { fetch, cdn, events } = pair('source_failed', 'there')
  for (let round = 0; round < 6; round += 1) await fetch()
  expect(cdn.seen).toHaveLength(3)
  expect(events.filter((event) => event === 'breaker_opened cdn')).toHaveLength(1)
  expect(events.filter((event) => event === 'fallback_used bucket')).toHaveLength(6)
  await sleep(60)
  await fetch()
  await fetch()
  expect(cdn.seen).toHaveLength(4)
  await sleep(60)
  cdn.outcome.now = 'there'
  expect(await fetch()).toBe('cdn')
  expect(events.at(-1)).toBe('breaker_closed cdn')
})

test('the last one is never skipped, and a skipped first choice is named when it fails too', async () => {
  const { fetch, bucket } = pair('source_timeout', 'absent')
  for (let round = 0; round < 3; round += 1) await fetch().catch(() => undefined)
  await expect(fetch()).rejects.toMatchObject({ code: 'source_unreachable' })
  expect(bucket.seen).toHaveLength(4)
})

test('an ETag is shown to the origin that gave it, and to no other', async () => {
  const { fetch, cdn, bucket } = pair('source_failed', 'there')
  const validators = { origin: 'bucket', etag: '"b"' }
  await fetch(validators)
  expect(cdn.seen).toEqual([undefined])
  expect(bucket.seen).toEqual([validators])
})
