import { join } from 'node:path'
import { figure, type Bench, type Scenario, type ScenarioResult } from '../bench.ts'
import { fetchOnce } from '../harness/hit-targets.ts'
import { settled } from '../harness/settled.ts'
import { metric, startHalftone } from '../harness/start-halftone.ts'
import type { Running } from '../harness/start-process.ts'

const requests = 20_000
const quickRequests = 2_000
const atOnce = 16
/** Small enough to be full soon: an empty cache would flatter the figure. */
const memoryCacheMB = 16
/** Variants that are asked for; together more than twice the memory tier. */
const variants = 2_400
const samples = 8
const megabyte = 1024 * 1024

/** Hits, disk hits, misses, revalidations, HEADs and errors in one stream; then the front's resident memory. */
export const memorySoak: Scenario = {
  name: 'memory-soak',
  about: "20,000 mixed requests: the front's resident memory",
  cheap: false,
  run,
}

async function run(bench: Bench): Promise<ScenarioResult> {
  const server = await startHalftone({
    root: bench.root,
    pictures: bench.pictures.folder,
    dataDir: join(bench.workspace, 'data'),
    settings: { HALFTONE_MEMORY_CACHE_MB: String(memoryCacheMB), HALFTONE_LOG_LEVEL: 'info' },
  })
  const total = bench.quick ? quickRequests : requests
  const above: number[] = []
  try {
    const startMB = server.residentBytes() / megabyte
    for (let sample = 0; sample < samples; sample++) {
      await mixed(server, bench.pictures.small, { from: (total / samples) * sample, count: total / samples })
      await settled(server)
      const cached = (await metric(server, 'halftone_cache_bytes', 'tier="memory"')) / megabyte
      // What the cache does not hold yet is not spent: only what it holds is set off, and never more than its budget.
      above.push(server.residentBytes() / megabyte - Math.min(cached, memoryCacheMB))
      bench.say(
        `${Math.round((total / samples) * (sample + 1))} requests: ${Math.round(above.at(-1) ?? 0)} MB above ${cached.toFixed(1)} MB cached`,
      )
    }
    const [half = 0, last = 0] = [above[samples / 2 - 1], above.at(-1)]
    return {
      figures: [
        figure('soak.start', 'resident at start', 'MB', [startMB]),
        figure('soak.above-budget', 'resident above the cache at the end', 'MB', [last]),
        figure('soak.peak', 'highest of all samples', 'MB', [Math.max(...above)]),
        figure('soak.growth', 'growth over the last half', 'MB', [last - half]),
      ],
      notes: [
        `above the cache after each eighth: ${above.map((value) => Math.round(value)).join(', ')} MB`,
        await outcomes(server),
      ],
    }
  } finally {
    await server.stop()
  }
}

async function mixed(server: Running, picture: string, span: { from: number; count: number }): Promise<void> {
  let next = span.from
  const end = span.from + span.count
  const work = async () => {
    while (next < end) await askOne(server, picture, next++)
  }
  await Promise.all(Array.from({ length: atOnce }, work))
}

/** A fixed mix by number: most for popular variants, some for rare ones, a tenth for everything else that clients do. */
async function askOne(server: Running, picture: string, number: number): Promise<void> {
  const scattered = (Math.floor(number / 3) * 7919) % variants
  const variant = number % 3 === 0 ? scattered : scattered % 200
  const target = `/${picture}?w=${480 + (variant % 240)}&h=${400 + Math.floor(variant / 240)}&fit=crop&auto=format`
  switch (number % 20) {
    case 0:
      return void (await fetchOnce(server, `/missing-${number}.jpg?w=100`))
    case 1:
      return void (await fetch(`${server.origin}${target}`, { method: 'HEAD' }))
    case 2: {
      const first = await fetch(`${server.origin}${target}`)
      await first.arrayBuffer()
      const again = await fetch(`${server.origin}${target}`, {
        headers: { 'if-none-match': first.headers.get('etag') ?? '' },
      })
      return void (await again.arrayBuffer())
    }
    default:
      return void (await fetchOnce(server, target))
  }
}

async function outcomes(server: Running): Promise<string> {
  const counts = []
  for (const outcome of ['memory', 'disk', 'render', 'collapsed', 'not-modified', 'none'])
    counts.push(`${outcome} ${await metric(server, 'halftone_requests_total', `outcome="${outcome}"`)}`)
  return counts.join(', ')
}
