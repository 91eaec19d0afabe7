import { setImmediate as turn } from 'node:timers/promises'
import { beforeEach, describe, expect, test } from 'vitest'
import { AppError } from '../../../src/errors.ts'
import { createCachedSource, type CachedSourceOptions } from '../../../src/sources/cached-source.ts'
import type { FetchedOriginal, RemoteOrigin, Validators } from '../../../src/sources/remote-origin.ts'
import { createMapStore } from '../../helpers/remote-source.ts'

const signal = new AbortController().signal

/** An origin in memory that can be changed, slowed down and broken. */
function createOrigin() {
  const origin = {
    files: new Map<string, { text: string; etag: string; freshSeconds?: number }>(),
    failure: undefined as Error | undefined,
    gate: Promise.resolve(),
    asked: [] as (string | undefined)[],
    closed: false,
  }
  const remote: RemoteOrigin = {
    name: 'memory',
    async fetch(path: string, validators: Validators | undefined): Promise<FetchedOriginal> {
      origin.asked.push(validators?.etag)
      await origin.gate
      if (origin.failure) throw origin.failure
      const file = origin.files.get(path)
      if (!file) return { kind: 'absent' }
      const common = { validators: { origin: 'memory', etag: file.etag }, freshSeconds: file.freshSeconds }
      if (validators?.etag === file.etag) return { kind: 'unmodified', ...common }
      return { kind: 'modified', bytes: Buffer.from(file.text), lastModifiedMs: undefined, ...common }
    },
    close: () => Promise.resolve(void (origin.closed = true)),
  }
  return { origin, remote }
}

let nowMs = 0
let { origin, remote } = createOrigin()
let store = createMapStore()
let events: string[] = []
beforeEach(() => {
  nowMs = 1_000_000_000_000
  ;({ origin, remote } = createOrigin())
  store = createMapStore()
  events = []
  origin.files.set('/a', { text: 'one', etag: '1' })
})

function open(changes: Partial<CachedSourceOptions> = {}) {
  return createCachedSource({
    name: 'cached',
    identity: 'place',
    origin: remote,
    store,
    freshness: { minFreshSeconds: 10, maxFreshSeconds: 100, staleIfErrorSeconds: 1000, negativeSeconds: 5 },
    silentFreshSeconds: 50,
    staleWhileRevalidateSeconds: 0,
    assertPath: () => {},
    takeTurn: () => Promise.resolve(() => {}),
    onEvent: (event) => void events.push(event),
    now: () => nowMs,
    ...changes,
  })
}

const later = (seconds: number) => void (nowMs += seconds * 1000)
const outage = new AppError('source_unreachable')
async function settle() {
  for (let round = 0; round < 10; round += 1) await turn()
}

describe('freshness', () => {
  test.each([
    [undefined, 50],
    [70, 70],
    [0, 10],
    [5000, 100],
  ])('of an origin that says %s is %i s: not asked before, asked after', async (freshSeconds, expected) => {
    origin.files.set('/a', { text: 'one', etag: '1', ...(freshSeconds === undefined ? {} : { freshSeconds }) })
    const source = open()
    expect((await source.stat('/a', signal))?.freshUntilMs).toBe(nowMs + expected * 1000)
    later(expected - 0.001)
    await source.stat('/a', signal)
    expect(origin.asked).toHaveLength(1)
    later(0.001)
    await source.stat('/a', signal)
    expect(origin.asked).toEqual([undefined, '1'])
  })

  test('begins anew with every revalidation', async () => {
    const source = open()
    await source.stat('/a', signal)
    for (let round = 0; round < 3; round += 1) {
      later(50)
      await source.stat('/a', signal)
      later(49)
      await source.stat('/a', signal)
      later(-49)
    }
    expect(events).toEqual(['fetched', 'unmodified', 'unmodified', 'unmodified'])
  })

  test('of an origin down lasts until it is asked again', async () => {
    const source = open()
    await source.stat('/a', signal)
    later(60)
    origin.failure = outage
    expect((await source.stat('/a', signal))?.freshUntilMs).toBe(nowMs + 10_000)
  })

  test('that is none costs one question for each request, not one for the state and one for the bytes', async () => {
    const source = open({
      freshness: { minFreshSeconds: 0, maxFreshSeconds: 0, staleIfErrorSeconds: 0, negativeSeconds: 0 },
    })
    for (let request = 1; request <= 3; request += 1) {
      const told = await source.stat('/a', signal)
      const original = await source.read('/a', signal, told)
      expect(original).toEqual({ ...told, bytes: Buffer.from('one') })
      expect(origin.asked).toHaveLength(request)
    }
    origin.files.set('/a', { text: 'two', etag: '2' })
    const told = await source.stat('/a', signal)
    expect((await source.read('/a', signal, told))?.bytes.toString()).toBe('two')
  })

  test('told of before does not open what is refused now, and what was evicted is fetched once', async () => {
    let refused = false
    const source = open({
      assertPath: () => {
        if (refused) throw new AppError('source_url_refused')
      },
    })
    const told = await source.stat('/a', signal)
    await settle()
    store.entries.clear()
    later(60)
    expect((await source.read('/a', signal, told))?.bytes.toString()).toBe('one')
    expect(origin.asked).toEqual([undefined, undefined])
    refused = true
    await expect(source.read('/a', signal, told)).rejects.toMatchObject({ code: 'source_url_refused' })
  })

  test('is not believed when the clock was set back', async () => {
    const source = open()
    await source.stat('/a', signal)
    later(-3600)
    await source.stat('/a', signal)
    expect(origin.asked).toHaveLength(2)
  })
})

describe('the version', () => {
  test('follows the bytes, not the ETag: an original that was only touched keeps its variants', async () => {
    const source = open()
    const first = await source.stat('/a', signal)
    later(60)
    origin.files.set('/a', { text: 'one', etag: '2' })
    expect((await source.stat('/a', signal))?.version).toBe(first?.version)
    later(60)
    await source.stat('/a', signal)
    expect(origin.asked).toEqual([undefined, '1', '2'])
    later(60)
    origin.files.set('/a', { text: 'two', etag: '3' })
    expect((await source.stat('/a', signal))?.version).not.toBe(first?.version)
    expect((await source.read('/a', signal))?.bytes.toString()).toBe('two')
  })
})

describe('ten variants', () => {
  test('fetch the original once, also all at once, and read it from the store', async () => {
    const source = open()
    const reads = await Promise.all(Array.from({ length: 10 }, () => source.read('/a', signal)))
    for (let round = 0; round < 10; round += 1) reads.push(await source.read('/a', signal))
    expect(origin.asked).toHaveLength(1)
    expect(new Set(reads.map((original) => original?.bytes.toString()))).toEqual(new Set(['one']))
  })

  test('one of them leaving does not end the fetch for the others', async () => {
    let open1 = () => {}
    origin.gate = new Promise((resolve) => (open1 = resolve))
    const source = open()
    const gone = new AbortController()
    const left = source.read('/a', gone.signal)
    const stays = source.read('/a', signal)
    await settle()
    gone.abort(new Error('left'))
    await expect(left).rejects.toThrow('left')
    open1()
    expect((await stays)?.bytes.toString()).toBe('one')
    expect(origin.asked).toHaveLength(1)
  })
})

describe('stale', () => {
  test('is served at once while the origin is asked in the background', async () => {
    const source = open({ staleWhileRevalidateSeconds: 100 })
    await source.stat('/a', signal)
    later(60)
    origin.files.set('/a', { text: 'two', etag: '2' })
    expect((await source.read('/a', signal))?.bytes.toString()).toBe('one')
    await settle()
    expect((await source.read('/a', signal))?.bytes.toString()).toBe('two')
    later(250)
    origin.files.set('/a', { text: 'three', etag: '3' })
    // Beyond the bound it is waited for.
    expect((await source.read('/a', signal))?.bytes.toString()).toBe('three')
  })

  test.each([
    'source_unreachable',
    'source_failed',
    'source_timeout',
    'source_truncated',
    'source_stalled',
    'overloaded',
  ] as const)(
    'is served while the origin is down with %s, and the origin is left alone for ten seconds',
    async (code) => {
      const source = open()
      await source.stat('/a', signal)
      later(60)
      origin.failure = new AppError(code)
      for (let round = 0; round < 5; round += 1) expect((await source.read('/a', signal))?.bytes.toString()).toBe('one')
      expect(origin.asked).toHaveLength(2)
      later(10)
      await source.read('/a', signal)
      expect(origin.asked).toHaveLength(3)
      origin.failure = undefined
      later(10)
      await source.read('/a', signal)
      expect(events).toEqual(['fetched', 'failed', 'stale_on_error', 'failed', 'stale_on_error', 'unmodified'])
    },
  )

  test('is not served beyond its bound', async () => {
    const source = open()
    await source.stat('/a', signal)
    origin.failure = outage
    later(50 + 999)
    expect(await source.stat('/a', signal)).toBeDefined()
    later(11)
    await expect(source.stat('/a', signal)).rejects.toBe(outage)
  })

  test('is no excuse for what the origin refuses now', async () => {
    const source = open()
    await source.stat('/a', signal)
    later(60)
    origin.failure = new AppError('source_denied')
    await expect(source.stat('/a', signal)).rejects.toMatchObject({ code: 'source_denied' })
  })
})

describe('absence', () => {
  test('is remembered briefly', async () => {
    const source = open()
    expect(await source.stat('/new', signal)).toBeUndefined()
    origin.files.set('/new', { text: 'x', etag: 'x' })
    later(4.9)
    expect(await source.read('/new', signal)).toBeUndefined()
    later(0.1)
    expect((await source.read('/new', signal))?.bytes.toString()).toBe('x')
  })

  test('at a revalidation removes, so that nothing stale comes back', async () => {
    const source = open()
    await source.stat('/a', signal)
    later(60)
    origin.files.delete('/a')
    expect(await source.stat('/a', signal)).toBeUndefined()
    later(6)
    origin.failure = outage
    await expect(source.stat('/a', signal)).rejects.toBe(outage)
  })

  test('a refusal is remembered as briefly, an outage without a copy is not', async () => {
    const source = open()
    origin.failure = new AppError('source_too_large')
    await expect(source.stat('/large', signal)).rejects.toMatchObject({ code: 'source_too_large' })
    await expect(source.stat('/large', signal)).rejects.toMatchObject({ code: 'source_too_large' })
    expect(origin.asked).toHaveLength(1)
    origin.failure = outage
    await expect(source.stat('/down', signal)).rejects.toBe(outage)
    origin.failure = undefined
    origin.files.set('/down', { text: 'up', etag: 'u' })
    expect((await source.read('/down', signal))?.bytes.toString()).toBe('up')
  })
})

describe('the store', () => {
  test('keeps originals and states over a restart', async () => {
    await open().stat('/a', signal)
    await settle()
    origin.failure = outage
    expect((await open().read('/a', signal))?.bytes.toString()).toBe('one')
    expect(origin.asked).toHaveLength(1)
  })

  test('gives nothing to another place of the same name', async () => {
    await open().stat('/a', signal)
    await settle()
    await open({ identity: 'another bucket' }).stat('/a', signal)
    expect(origin.asked).toEqual([undefined, undefined])
  })

  test('may lose everything: what is missing is fetched', async () => {
    const source = open()
    await source.stat('/a', signal)
    await settle()
    store.entries.clear()
    expect((await source.read('/a', signal))?.bytes.toString()).toBe('one')
    expect(origin.asked).toEqual([undefined, undefined])
  })

  test('rewrites only the state when nothing changed', async () => {
    const source = open()
    await source.stat('/a', signal)
    await settle()
    const written: string[] = []
    const set = store.set.bind(store)
    store.set = (key, bytes) => (written.push(key), set(key, bytes))
    later(60)
    await source.stat('/a', signal)
    await settle()
    expect(written).toHaveLength(1)
    expect(written[0]).not.toMatch(/^bytes-/)
  })

  test('garbage in it counts as nothing', async () => {
    await open().stat('/a', signal)
    await settle()
    for (const key of store.entries.keys())
      if (!key.startsWith('bytes-')) store.entries.set(key, Buffer.from('{"version":1}'))
    expect((await open().read('/a', signal))?.bytes.toString()).toBe('one')
    expect(origin.asked).toHaveLength(2)
  })
})

test('closing ends what runs in the background, and the origin last', async () => {
  const source = open({
    staleWhileRevalidateSeconds: 100,
    takeTurn: (inner) =>
      new Promise((_resolve, reject) => inner.addEventListener('abort', () => reject(inner.reason as Error))),
  })
  const waiting = source.read('/a', signal)
  const refused = expect(waiting).rejects.toMatchObject({ code: 'shutting_down' })
  await settle()
  await source.close()
  await refused
  expect(origin.closed).toBe(true)
})
