import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { DiskIndex } from '../../src/cache/disk-index.ts'
import { openDiskIndex } from '../../src/db/disk-index.ts'
import { describeCacheTier } from '../contract/cache-tier.contract.ts'
import { keyOf, resultFor } from '../helpers/cache-bodies.ts'
import { entryFilesIn, openDiskTier, patient, recordingLog, temporaryFolder } from '../helpers/cache-fixtures.ts'

describeCacheTier('disk', () => openDiskTier(temporaryFolder()).tier)

async function fileOf(folder: string, key: string): Promise<string> {
  const file = (await entryFilesIn(folder)).find((entry) => entry.key === key)
  if (!file) throw new Error('the entry is not on disk')
  return file.path
}

describe('over a restart', () => {
  test('entries, sizes and the order of use are there again', async () => {
    const folder = temporaryFolder()
    const first = openDiskTier(folder)
    for (let n = 0; n < 40; n += 1) await first.tier.set(keyOf(n), resultFor(keyOf(n)))
    await first.tier.get(keyOf(3), patient())
    const before = first.tier.stats()
    await first.tier.close()

    const second = openDiskTier(folder)
    expect(second.tier.stats()).toMatchObject({ entries: 40, bytes: before.bytes })
    expect(second.index.oldest(4).map((row) => row.key)).toEqual([0, 1, 2, 4].map(keyOf))
    expect(await second.tier.get(keyOf(3), patient())).toEqual(resultFor(keyOf(3)))
  })

  test('a smaller limit is reached in the background, the oldest first', async () => {
    const folder = temporaryFolder()
    const first = openDiskTier(folder)
    for (let n = 0; n < 60; n += 1) await first.tier.set(keyOf(n), resultFor(keyOf(n)))
    await first.tier.close()

    const { tier } = openDiskTier(folder, { maxBytes: 50 * 4096 })
    await vi.waitFor(() => expect(tier.stats().bytes).toBeLessThanOrEqual(50 * 4096))
    expect(await tier.get(keyOf(0), patient())).toBeUndefined()
    expect(await tier.get(keyOf(59), patient())).toBeDefined()
  })
})

describe('bounded', () => {
  test('eviction keeps the bytes below the limit at every moment and takes what was used longest ago', async () => {
    const maxBytes = 100 * 4096
    const folder = temporaryFolder()
    const { tier, index } = openDiskTier(folder, { maxBytes })
    for (let n = 0; n < 90; n += 1) await tier.set(keyOf(n), resultFor(keyOf(n)))
    // Hits are noted in memory first and reach the index with the next flush, at the latest on close.
    await tier.get(keyOf(0), patient())
    await tier.close()
    const again = openDiskTier(folder, { maxBytes })
    expect(index).not.toBe(again.index)
    for (let n = 90; n < 130; n += 1) {
      await again.tier.set(keyOf(n), resultFor(keyOf(n)))
      expect(again.tier.stats().bytes).toBeLessThanOrEqual(maxBytes)
    }
    expect(await again.tier.get(keyOf(0), patient())).toBeDefined()
    expect(await again.tier.get(keyOf(1), patient())).toBeUndefined()
    expect(await again.tier.get(keyOf(129), patient())).toBeDefined()
    const onDisk = (await entryFilesIn(folder)).reduce((sum, file) => sum + file.bytes, 0)
    expect(onDisk).toBe(again.tier.stats().bytes)
  })

  test('an entry that would take more than its share is not kept', async () => {
    const { tier } = openDiskTier(temporaryFolder(), { maxBytes: 800_000 })
    await tier.set(keyOf('big'), resultFor(keyOf('big'), 100_001))
    expect(await tier.get(keyOf('big'), patient())).toBeUndefined()
    expect(tier.stats()).toMatchObject({ entries: 0, dropped: 1 })
  })

  test('what exceeds the bytes waiting to be written is dropped and counted, the rest is kept', async () => {
    const { tier } = openDiskTier(temporaryFolder(), { maxPendingBytes: 50_000 })
    const keys = Array.from({ length: 20 }, (_, n) => keyOf(n))
    await Promise.all(keys.map((key) => tier.set(key, resultFor(key, 10_000))))
    expect(tier.stats()).toMatchObject({ entries: 5, dropped: 15 })
    await tier.set(keyOf(19), resultFor(keyOf(19), 10_000))
    expect(tier.stats()).toMatchObject({ entries: 6 })
  })
})

describe('an altered file is never served, and is dropped', () => {
  const damages: Record<string, (path: string) => void> = {
    'cut short': (path) => truncateSync(path, 700),
    emptied: (path) => truncateSync(path, 0),
    'one byte altered': (path) => {
      const bytes = readFileSync(path)
      bytes.writeUInt8((bytes[900] ?? 0) ^ 4, 900)
      writeFileSync(path, bytes)
    },
    'grown beyond any entry': (path) => truncateSync(path, 200 * 1024 * 1024),
    'replaced by a link to a good entry': (path) => {
      renameSync(path, `${path}.moved`)
      symlinkSync(`${path}.moved`, path)
    },
    'a named pipe': (path) => {
      rmSync(path)
      execFileSync('mkfifo', [path])
    },
  }

  test.each(Object.keys(damages))('%s', async (damage) => {
    const folder = temporaryFolder()
    const { tier, log } = openDiskTier(folder)
    const key = keyOf('damaged')
    await tier.set(key, resultFor(key))
    const path = await fileOf(folder, key)
    damages[damage]?.(path)

    expect(await tier.get(key, patient())).toBeUndefined()
    await vi.waitFor(() => expect(tier.stats()).toMatchObject({ corrupt: 1, entries: 0, bytes: 0 }))
    expect(existsSync(path)).toBe(false)
    expect(log.events).toContain('cache_entry_corrupt')

    await tier.set(key, resultFor(key))
    expect(await tier.get(key, patient())).toEqual(resultFor(key))
  })

  test('every cut of a file is a miss', async () => {
    const folder = temporaryFolder()
    const { tier } = openDiskTier(folder)
    const key = keyOf('cut')
    await tier.set(key, resultFor(key, 64))
    const path = await fileOf(folder, key)
    const whole = readFileSync(path)
    for (let length = 0; length < whole.length; length += 1) {
      writeFileSync(path, whole.subarray(0, length))
      expect(await tier.get(key, patient()), `${length} bytes`).toBeUndefined()
      await tier.delete(key)
    }
    expect(tier.stats().corrupt).toBe(whole.length)
  })

  test('a good file under the name of another key', async () => {
    const folder = temporaryFolder()
    const { tier } = openDiskTier(folder)
    await tier.set(keyOf('a'), resultFor(keyOf('a')))
    await tier.set(keyOf('b'), resultFor(keyOf('b')))
    copyFileSync(await fileOf(folder, keyOf('a')), await fileOf(folder, keyOf('b')))
    expect(await tier.get(keyOf('b'), patient())).toBeUndefined()
    expect(await tier.get(keyOf('a'), patient())).toBeDefined()
  })
})

test('a key that is not a hash never becomes a path', async () => {
  const folder = temporaryFolder()
  const { tier } = openDiskTier(folder)
  for (const key of ['../../../../etc/passwd0', 'short', 'a/bcdefghijklmnop', `${'a'.repeat(16)}\0`, 'x'.repeat(65)]) {
    await tier.set(key, resultFor(key))
    expect(await tier.get(key, patient())).toBeUndefined()
    await tier.delete(key)
  }
  expect(await entryFilesIn(folder)).toEqual([])
})

test('what a killed process left half written is removed at the next start', async () => {
  const folder = temporaryFolder()
  const leftovers = join(folder, 'entries', 'tmp')
  mkdirSync(leftovers, { recursive: true })
  writeFileSync(join(leftovers, 'dead00000000-1'), 'half')
  openDiskTier(folder)
  await vi.waitFor(() => expect(existsSync(join(leftovers, 'dead00000000-1'))).toBe(false))
})

test('somebody empties the cache directory under a running server: misses, then it fills again', async () => {
  const folder = temporaryFolder()
  const { tier } = openDiskTier(folder)
  await tier.set(keyOf(1), resultFor(keyOf(1)))
  rmSync(join(folder, 'entries'), { recursive: true })
  expect(await tier.get(keyOf(1), patient())).toBeUndefined()
  await tier.set(keyOf(1), resultFor(keyOf(1)))
  expect(await tier.get(keyOf(1), patient())).toBeDefined()
  expect(tier.stats()).toMatchObject({ entries: 1, writeErrors: 0, readErrors: 0 })
})

test('a disk that does not answer is a miss after the deadline', async () => {
  const folder = temporaryFolder()
  // Reading 32 MB takes far longer than the millisecond it is given.
  const { tier } = openDiskTier(folder, { readTimeoutMs: 1, maxBytes: 512 * 1024 * 1024 })
  await tier.set(keyOf(1), resultFor(keyOf(1), 32 * 1024 * 1024))
  expect(await tier.get(keyOf(1), patient())).toBeUndefined()
  expect(tier.stats()).toMatchObject({ readErrors: 1, corrupt: 0, entries: 1 })
})

test('an index that cannot be written: nothing is kept, nothing breaks, one warning', async () => {
  const broken: DiskIndex = {
    totals: () => ({ entries: 0, bytes: 0, complete: true }),
    write: () => {
      throw new Error('database is locked')
    },
    oldest: () => [],
    close: () => undefined,
  }
  const folder = temporaryFolder()
  const { tier, log } = openDiskTier(folder, { index: broken })
  for (let n = 0; n < 10; n += 1) await tier.set(keyOf(n), resultFor(keyOf(n)))
  expect(await tier.get(keyOf(1), patient())).toBeUndefined()
  expect(tier.stats().writeErrors).toBe(10)
  expect(log.events.filter((event) => event === 'cache_write_failed')).toHaveLength(1)
  expect(await entryFilesIn(folder)).toEqual([])
})

test('small entries do not wait behind large ones, and waiting for a turn makes no miss', async () => {
  const folder = temporaryFolder()
  const bytes = 2 * 1024 * 1024
  const large = Array.from({ length: 80 }, (_, n) => keyOf(`large ${n}`))
  const small = Array.from({ length: 8 }, (_, n) => keyOf(`small ${n}`))
  const room = { maxBytes: 1024 * 1024 * 1024 }
  const { tier: filling } = openDiskTier(folder, room)
  for (const key of large) await filling.set(key, resultFor(key, bytes))
  for (const key of small) await filling.set(key, resultFor(key, 20_000))
  await filling.close()
  const { tier } = openDiskTier(folder, { ...room, readTimeoutMs: 300 })
  const order: string[] = []
  const get = async (kind: string, key: string) => {
    const found = await tier.get(key, patient())
    order.push(kind)
    return found !== undefined
  }
  const found = await Promise.all([...large.map((key) => get('large', key)), ...small.map((key) => get('small', key))])
  expect(found).toEqual(found.map(() => true))
  expect(order.lastIndexOf('small')).toBeLessThan(50)
}, 60_000)

describe('the index', () => {
  async function filled(count: number) {
    const folder = temporaryFolder()
    const { tier, log } = openDiskTier(folder)
    await vi.waitFor(() => expect(log.events).toContain('cache_index_rebuilt'))
    for (let n = 0; n < count; n += 1) await tier.set(keyOf(n), resultFor(keyOf(n), 100 * n))
    const { entries, bytes } = tier.stats()
    await tier.close()
    return { folder, sizes: { entries, bytes } }
  }

  const ruins: Record<string, (file: string) => void> = {
    missing: (file) => rmSync(file),
    'not a database': (file) => writeFileSync(file, 'these are not the pages you are looking for'.repeat(400)),
    'of another version': (file) => {
      const db = new Database(file)
      db.pragma('user_version = 99')
      db.close()
    },
    'damaged in the middle': (file) => {
      const bytes = readFileSync(file)
      bytes.fill(0xa5, 4096, bytes.length - 100)
      writeFileSync(file, bytes)
    },
  }

  test.each(Object.keys(ruins))('%s: hits go on, and it is built anew from the files', async (ruin) => {
    const { folder, sizes } = await filled(150)
    ruins[ruin]?.(join(folder, 'index.sqlite'))
    const { tier, log } = openDiskTier(folder)
    expect(await tier.get(keyOf(77), patient())).toEqual(resultFor(keyOf(77), 7700))
    await vi.waitFor(() => expect(log.events).toContain('cache_index_rebuilt'), { timeout: 10_000 })
    expect(tier.stats()).toMatchObject(sizes)
  })

  test('after a power cut the files are counted again, after a kill they are not', async () => {
    const { folder } = await filled(20)
    const file = join(folder, 'index.sqlite')
    const log = recordingLog()
    const openIn = (bootId: string) => openDiskIndex({ file, log, bootId })

    openIn('boot 1')
    const afterKill = openIn('boot 1')
    expect(afterKill.totals().complete).toBe(true)
    const afterPowerCut = openIn('boot 2')
    expect(afterPowerCut.totals().complete).toBe(false)
    afterPowerCut.write([{ kind: 'complete' }])
    afterPowerCut.close()
    expect(openIn('boot 3').totals().complete).toBe(true)
  })

  test('where no file can be had it lives in memory, and the tier works', async () => {
    const folder = temporaryFolder()
    mkdirSync(join(folder, 'index.sqlite'))
    mkdirSync(join(folder, 'index.sqlite.broken', 'not empty'), { recursive: true })
    const { tier } = openDiskTier(folder)
    await tier.set(keyOf(1), resultFor(keyOf(1)))
    expect(await tier.get(keyOf(1), patient())).toEqual(resultFor(keyOf(1)))
    expect(tier.stats().entries).toBe(1)
  })

  test('a start with a million entries trusts the index and does not walk the directory', async () => {
    const { folder } = await filled(1)
    const file = join(folder, 'index.sqlite')
    const db = new Database(file)
    db.exec(`
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)
      INSERT INTO entries SELECT printf('%032x', i), 4096, i FROM n`)
    db.close()
    // A walk would find this file, which has no row.
    const stray = join(dirname(await fileOf(folder, keyOf(0))), keyOf('stray'))
    writeFileSync(stray, 'x')

    const started = performance.now()
    const { tier } = openDiskTier(folder, { maxBytes: 100 * 1024 ** 3 })
    const { entries, bytes } = tier.stats()
    const seconds = ((performance.now() - started) / 1000).toFixed(2)
    console.log(`a million entries: ready after ${seconds} s`)
    expect(entries).toBe(1_000_001)
    expect(bytes).toBe(1_000_001 * 4096)
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(tier.stats().entries).toBe(1_000_001)
    expect(await tier.get(keyOf(0), patient())).toBeDefined()
  })
})

describe('a full disk', () => {
  /** A real file system of 16 MB (the index and its log take 5); undefined where we may not mount one. */
  function tinyDisk(): string | undefined {
    const folder = temporaryFolder()
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', folder], { stdio: 'ignore' })
    } catch {
      console.log('skipped: a full disk (mounting a tmpfs needs root)')
      return undefined
    }
    onTestFinished(() => void execFileSync('umount', ['-l', folder]))
    return folder
  }

  test('is served on from, counted, logged once, and gets room by eviction', async ({ skip }) => {
    const folder = tinyDisk()
    if (!folder) return skip()
    const { tier, log } = openDiskTier(folder)
    for (let n = 0; n < 1200; n += 1) {
      await tier.set(keyOf(n), resultFor(keyOf(n), 20_000))
      const served = await tier.get(keyOf(n), patient())
      if (served) expect(served).toEqual(resultFor(keyOf(n), 20_000))
    }
    const { writeErrors, evicted, entries, readErrors, corrupt } = tier.stats()
    expect(writeErrors).toBeGreaterThan(0)
    expect(evicted).toBeGreaterThan(500)
    expect(entries).toBeGreaterThan(200)
    expect({ readErrors, corrupt }).toEqual({ readErrors: 0, corrupt: 0 })
    expect(log.events.filter((event) => event === 'cache_write_failed')).toHaveLength(1)
    expect((await tier.get(keyOf(1198), patient())) ?? (await tier.get(keyOf(1199), patient()))).toBeDefined()
    const files = await entryFilesIn(folder)
    expect(files).toHaveLength(entries)
  })

  test('from the start: the server starts, and serves what is there', async ({ skip }) => {
    const folder = tinyDisk()
    if (!folder) return skip()
    const first = openDiskTier(folder)
    await first.tier.set(keyOf(1), resultFor(keyOf(1)))
    await first.tier.close()
    expect(() => writeFileSync(join(folder, 'ballast'), Buffer.alloc(20 * 1024 * 1024))).toThrow('ENOSPC')

    const { tier } = openDiskTier(folder)
    expect(await tier.get(keyOf(1), patient())).toEqual(resultFor(keyOf(1)))
    await tier.set(keyOf(2), resultFor(keyOf(2), 50_000))
    expect(tier.stats().writeErrors).toBeGreaterThan(0)
  })
})
