import { linkSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { createEntryReader, type EntryReader, type EntryReaderOptions } from '../../../src/cache/entry-reader.ts'
import { createQuickReads } from '../../../src/cache/quick-reads.ts'
import { encodeResult } from '../../../src/cache/result-codec.ts'
import { bodyFor, keyOf, resultFor } from '../../helpers/cache-bodies.ts'
import { entryFilesIn, openDiskTier, patient, temporaryFolder } from '../../helpers/cache-fixtures.ts'

const canCount = process.platform === 'linux'

function readerIn(folder: string, maxOpen: number, options: Partial<EntryReaderOptions> = {}) {
  const pathOf = (key: string) => join(folder, key)
  const reader = createEntryReader({ pathOf, maxOpen, maxFileBytes: 1024 * 1024, ...options })
  onTestFinished(() => reader.close())
  const write = async (key: string, result = bodyFor(key)) =>
    writeFileSync(pathOf(key), await encodeResult(key, result))
  return { reader, write, pathOf }
}

async function bodyIn(reader: EntryReader, key: string) {
  const read = await reader.read(key)
  return typeof read === 'string' ? read : read.result
}

/** How many files below the folder this process holds open, removed ones included. */
function openFilesIn(folder: string): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(folder)
    } catch {
      return false
    }
  }).length
}

test('an entry read again is the same, its facts included, whether it is kept open or not', async () => {
  const folder = temporaryFolder()
  for (const maxOpen of [0, 10]) {
    const { reader, write } = readerIn(folder, maxOpen)
    const sizes = { empty: 0, small: 500, 'just above a first read': 65_400, large: 300_000 }
    for (const [name, bytes] of Object.entries(sizes)) {
      const key = keyOf(name)
      await write(key, resultFor(key, bytes))
      for (let turn = 0; turn < 3; turn += 1) expect(await bodyIn(reader, key)).toEqual(resultFor(key, bytes))
    }
  }
})

test('what is small is read quickly from the second time on, by the threads the first time and where that is not to be', async () => {
  const quick = createQuickReads()
  const asked: (number | undefined)[] = []
  const into = (...read: Parameters<typeof quick.into>) => {
    asked.push(quick.into(...read))
    return asked.at(-1)
  }
  const { reader, write } = readerIn(temporaryFolder(), 4, { quickReads: { into } })
  const results = [500, 300_000].map((bytes) => [keyOf(bytes), resultFor(keyOf(bytes), bytes)] as const)
  for (const [key, result] of results) await write(key, result)
  for (const [key, result] of results) expect(await bodyIn(reader, key)).toEqual(result)
  expect(asked).toEqual([])
  for (const [key, result] of results) expect(await bodyIn(reader, key)).toEqual(result)
  expect(asked).toEqual([500, undefined])
})

test.runIf(canCount)('no more files stay open than allowed, and none after close', async () => {
  const folder = temporaryFolder()
  const { reader, write } = readerIn(folder, 4)
  for (let n = 0; n < 20; n += 1) {
    await write(keyOf(n))
    await reader.read(keyOf(n))
  }
  await vi.waitFor(() => expect(openFilesIn(folder)).toBe(4))
  reader.close()
  await vi.waitFor(() => expect(openFilesIn(folder)).toBe(0))
})

test.runIf(canCount)('what is absent, no file or no entry holds nothing open', async () => {
  const folder = temporaryFolder()
  const { reader, pathOf } = readerIn(folder, 4)
  mkdirSync(pathOf(keyOf('folder')))
  writeFileSync(pathOf(keyOf('text')), 'no entry')
  expect(await reader.read(keyOf('absent'))).toBe('absent')
  expect(await reader.read(keyOf('folder'))).toBe('corrupt')
  expect(await reader.read(keyOf('text'))).toBe('corrupt')
  await vi.waitFor(() => expect(openFilesIn(folder)).toBe(0))
})

test('large entries are read a few at a time, for the first time and again', async () => {
  const { reader, write } = readerIn(temporaryFolder(), 20, { maxFileBytes: 4 * 1024 * 1024 })
  const bytes = 2 * 1024 * 1024
  const results = Array.from({ length: 12 }, (_, index) => [keyOf(index), resultFor(keyOf(index), bytes)] as const)
  for (const [key, result] of results) await write(key, result)
  const allocated = vi.spyOn(Buffer, 'allocUnsafeSlow')
  onTestFinished(() => allocated.mockRestore())
  const isLarge = ([size]: [number]) => size >= bytes
  for (let turn = 0; turn < 2; turn += 1) {
    allocated.mockClear()
    const reads = results.map(([key]) => bodyIn(reader, key))
    await Promise.race(reads)
    expect(allocated.mock.calls.filter(isLarge).length).toBeLessThan(8)
    // Comparing them as expect does takes seconds.
    const isRight = (read: Awaited<(typeof reads)[number]>, index: number) =>
      typeof read !== 'string' && read.body.equals(results[index]?.[1].body ?? Buffer.alloc(0))
    expect((await Promise.all(reads)).map(isRight)).toEqual(results.map(() => true))
  }
})

test('a turn is given back when a large read fails, and those in line are told that they wait', async () => {
  const { reader, write, pathOf } = readerIn(temporaryFolder(), 20, { maxFileBytes: 4 * 1024 * 1024 })
  const bytes = 2 * 1024 * 1024
  for (let broken = 0; broken < 8; broken += 1) {
    await write(keyOf(broken), resultFor(keyOf(broken), bytes))
    const file = readFileSync(pathOf(keyOf(broken)))
    file.writeUInt8((file[bytes / 2] ?? 0) ^ 1, bytes / 2)
    writeFileSync(pathOf(keyOf(broken)), file)
  }
  await write(keyOf('whole'), resultFor(keyOf('whole'), bytes))
  await write(keyOf('small'), resultFor(keyOf('small'), 1000))
  const told: string[] = []
  const readOf = (name: string | number) => reader.read(keyOf(name), () => told.push(String(name)))
  expect(await Promise.all(Array.from({ length: 8 }, (_, broken) => readOf(broken)))).toEqual(Array(8).fill('corrupt'))
  const [first, shared] = await Promise.all([readOf('whole'), readOf('whole')])
  expect(shared).toBe(first)
  expect(first).toMatchObject({ result: { contentType: resultFor(keyOf('whole'), 1).contentType } })
  await readOf('small')
  expect(told.sort()).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', 'whole', 'whole'])
})

test('beyond a bound large reads do not wait: they are told that it is busy, at once', async () => {
  const { reader, write, pathOf } = readerIn(temporaryFolder(), 20, { maxFileBytes: 4 * 1024 * 1024 })
  await write(keyOf('one'), resultFor(keyOf('one'), 1_100_000))
  const others = Array.from({ length: 300 }, (_, n) => keyOf(n))
  // One file under many names is enough: that it is another's is found out when it has had its turn.
  for (const key of others) linkSync(pathOf(keyOf('one')), pathOf(key))
  const reads = await Promise.all(others.map((key) => reader.read(key)))
  expect(new Set(reads)).toEqual(new Set(['corrupt', 'busy']))
  expect(reads.filter((read) => read === 'corrupt').length).toBeGreaterThanOrEqual(260)
  expect(await bodyIn(reader, keyOf('one'))).toMatchObject({ contentType: resultFor(keyOf('one'), 1).contentType })
})

test('descriptors that are closed and given out again never mix entries up', async () => {
  const folder = temporaryFolder()
  const { reader, write } = readerIn(folder, 2)
  const bodies = new Map(Array.from({ length: 30 }, (_, n) => [keyOf(n), bodyFor(keyOf(n)).body]))
  const keys = [...bodies.keys()]
  for (const key of keys) await write(key)
  let wrong = 0
  const check = async (key: string) => {
    const read = await bodyIn(reader, key)
    if (typeof read === 'string' || bodies.get(key)?.equals(read.body) !== true) wrong += 1
  }
  const readMany = async (from: number) => {
    for (let n = 0; n < 200; n += 1) {
      const key = keys[(from + n * 7) % (n % 3 === 0 ? 3 : keys.length)] ?? ''
      const again = check(key)
      if (n % 5 === 0) reader.forget(key)
      await Promise.all([again, check(key)])
    }
  }
  await Promise.all(Array.from({ length: 12 }, (_, n) => readMany(n)))
  expect(wrong).toBe(0)
})

test('many who ask for one entry at once share one read', async () => {
  const { reader, write } = readerIn(temporaryFolder(), 2)
  await write(keyOf(1))
  for (let turn = 0; turn < 2; turn += 1) {
    const reads = await Promise.all(Array.from({ length: 50 }, () => bodyIn(reader, keyOf(1))))
    expect(new Set(reads).size).toBe(1)
  }
})

test('a file that is altered in place while it is open is never served, and is dropped', async () => {
  const folder = temporaryFolder()
  const { tier } = openDiskTier(folder)
  const key = keyOf('popular')
  await tier.set(key, resultFor(key))
  expect(await tier.get(key, patient())).toEqual(resultFor(key))
  const [file] = await entryFilesIn(folder)
  const bytes = readFileSync(file?.path ?? '')
  bytes.writeUInt8((bytes[900] ?? 0) ^ 4, 900)
  writeFileSync(file?.path ?? '', bytes)

  expect(await tier.get(key, patient())).toBeUndefined()
  await vi.waitFor(() => expect(tier.stats()).toMatchObject({ corrupt: 1, entries: 0 }))
})

test.runIf(canCount)('what is deleted or thrown out gives its space back at once', async () => {
  const folder = temporaryFolder()
  const entries = join(folder, 'entries')
  const { tier } = openDiskTier(folder, { maxBytes: 40 * 4096 })
  for (let n = 0; n < 30; n += 1) {
    await tier.set(keyOf(n), resultFor(keyOf(n)))
    await tier.get(keyOf(n), patient())
  }
  expect(openFilesIn(entries)).toBe(30)
  await tier.delete(keyOf(29))
  await vi.waitFor(() => expect(openFilesIn(entries)).toBe(29))
  expect(await tier.get(keyOf(29), patient())).toBeUndefined()

  for (let n = 100; n < 160; n += 1) await tier.set(keyOf(n), resultFor(keyOf(n)))
  await vi.waitFor(() => expect(openFilesIn(entries)).toBe(0))
})

test('a cache emptied by hand is seen to be empty after some seconds, also of what was open', async () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  onTestFinished(() => void vi.useRealTimers())
  const folder = temporaryFolder()
  const { reader, write, pathOf } = readerIn(folder, 4)
  for (const n of [1, 2]) {
    await write(keyOf(n))
    await reader.read(keyOf(n))
    rmSync(pathOf(keyOf(n)))
  }
  vi.setSystemTime(Date.now() + 10_001)
  expect(await reader.read(keyOf(1))).toBe('absent')
  reader.closeOld()
  if (canCount) await vi.waitFor(() => expect(openFilesIn(folder)).toBe(0))
})
