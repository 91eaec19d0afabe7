import { randomBytes } from 'node:crypto'
import { mkdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import Database from 'better-sqlite3'
import { figure, ratios, type Bench, type Scenario, type ScenarioResult } from '../bench.ts'
import { targetsAround, warm, widthFor } from '../harness/hit-targets.ts'
import { pour, warmUp } from '../harness/load.ts'
import { interleave } from '../harness/rounds.ts'
import { metric, startHalftone } from '../harness/start-halftone.ts'
import { serverCore, type Running } from '../harness/start-process.ts'

const bodyBytes = 20_000
const pictures = 120
const query = 'fm=webp'
const smallest = 1_000
const sizes = [smallest, 10_000, 100_000, 1_000_000]
const quickSizes = [smallest, 10_000]
/** Real files beside the rows, so that folders are as full as they would be; empty ones, or the disk would be. */
const mostFiles = 200_000
const writtenAtOnce = 64

/** Disk hits while the disk tier holds a thousand to a million entries. */
export const cacheGrowth: Scenario = {
  name: 'cache-growth',
  about: 'disk hits with 10^3 to 10^6 entries in the disk tier',
  cheap: false,
  run,
}

async function run(bench: Bench): Promise<ScenarioResult> {
  const entries = bench.quick ? quickSizes : sizes
  const servers: (readonly [number, Running])[] = []
  const notes: string[] = []
  try {
    let targets: readonly string[] = []
    for (const count of entries) {
      const dataDir = join(bench.workspace, String(count))
      targets = await seedRealEntries(bench, dataDir)
      const files = await seedEntries(join(dataDir, 'cache'), count - pictures)
      const startedMs = performance.now()
      const server = await halftone(bench, dataDir)
      servers.push([count, server])
      const held = await metric(server, 'halftone_cache_entries', 'tier="disk"')
      notes.push(
        `${count}: ${held} entries counted, ${files} more files on disk, started in ${Math.round(performance.now() - startedMs)} ms, ${Math.round(server.residentBytes() / 1e6)} MB resident`,
      )
    }
    const load = { targets, seconds: bench.seconds, workspace: bench.workspace }
    for (const [, server] of servers) await warmUp(server, load, bench.quick ? 0.5 : 1.5)
    const measures = servers.map(
      ([count, server]) => [String(count), async () => (await pour(server, load)).perCpuSecond] as const,
    )
    const taken = await interleave(bench.rounds, Object.fromEntries(measures))
    const base = taken[String(smallest)] ?? []
    for (const [count, server] of servers)
      notes.push(
        `${count}: ${await metric(server, 'halftone_requests_total', 'outcome="disk"')} disk hits, ${await metric(server, 'halftone_requests_total', 'outcome="render"')} renders`,
      )
    return {
      figures: entries.flatMap((count) => {
        const rate = taken[String(count)] ?? []
        return [
          figure(`growth.${count}`, `disk hits with ${count.toLocaleString('en')} entries`, 'req/s', rate),
          figure(
            `growth/${count}`,
            `cost of a hit against ${smallest.toLocaleString('en')} entries`,
            'ratio',
            ratios(base, rate),
          ),
        ]
      }),
      notes,
    }
  } finally {
    for (const [, server] of servers) await server.stop()
  }
}

/** Renders the pictures that will be asked for and closes, so that they are on disk and in the index. */
async function seedRealEntries(bench: Bench, dataDir: string): Promise<readonly string[]> {
  const server = await halftone(bench, dataDir)
  try {
    const width = await widthFor(server, bench.pictures.small, bodyBytes, query)
    const targets = targetsAround(bench.pictures.small, width, pictures, query)
    await warm(server, targets)
    return targets
  } finally {
    await server.stop()
  }
}

/** Rows by SQL, as the index would have them after that many results, and files for the first of them. Returns how many files. */
async function seedEntries(cache: string, count: number): Promise<number> {
  const keys = Array.from({ length: count }, () => randomBytes(32).toString('base64url'))
  const db = new Database(join(cache, 'index.sqlite'))
  try {
    const add = db.prepare<[string, number, number]>('INSERT INTO entries VALUES (?, ?, ?)')
    const nowUs = Date.now() * 1000
    db.transaction(() => keys.forEach((key, index) => add.run(key, 4096, nowUs - count + index)))()
  } finally {
    db.close()
  }
  const files = keys.slice(0, mostFiles)
  await stat(join(cache, 'entries'))
  const made = new Set<string>()
  for (let from = 0; from < files.length; from += writtenAtOnce)
    await Promise.all(
      files.slice(from, from + writtenAtOnce).map((key) => writeEmpty(join(cache, 'entries'), key, made)),
    )
  return files.length
}

/** The disk tier's own layout: two folders by CRC-32 of the key. */
async function writeEmpty(entries: string, key: string, made: Set<string>): Promise<void> {
  const hex = crc32(key).toString(16).padStart(8, '0')
  const folder = join(entries, hex.slice(0, 1), hex.slice(1, 3))
  if (!made.has(folder)) await mkdir(folder, { recursive: true })
  made.add(folder)
  await writeFile(join(folder, key), '')
}

const halftone = (bench: Bench, dataDir: string) =>
  startHalftone({
    root: bench.root,
    pictures: bench.pictures.folder,
    dataDir,
    core: serverCore,
    settings: { HALFTONE_RENDERERS: '1', HALFTONE_MEMORY_CACHE_MB: '1', HALFTONE_DISK_CACHE_MB: '20480' },
  })
