import { join } from 'node:path'
import { figure, ratios, type Bench, type Scenario, type ScenarioResult } from '../bench.ts'
import { targetsAround, warm, widthFor } from '../harness/hit-targets.ts'
import { pour, warmUp } from '../harness/load.ts'
import { interleave } from '../harness/rounds.ts'
import { metric, startHalftone } from '../harness/start-halftone.ts'
import { serverCore, type Running } from '../harness/start-process.ts'

const bodyBytes = 20_000
const pictures = 120
/** Half of what is asked for in turn: each picture has been evicted when its turn comes again. */
const tooSmallMemoryMB = '1'

/** The same pictures from memory and, by a memory tier that is too small for them, from disk. */
export const diskHit: Scenario = {
  name: 'disk-hit',
  about: '120 pictures of 20 kB, from disk and from memory',
  cheap: true,
  run,
}

async function run(bench: Bench): Promise<ScenarioResult> {
  const memory = await halftone(bench, 'memory', {})
  const disk = await halftone(bench, 'disk', { HALFTONE_MEMORY_CACHE_MB: tooSmallMemoryMB })
  try {
    const query = 'fm=webp'
    const targets = targetsAround(
      bench.pictures.small,
      await widthFor(memory, bench.pictures.small, bodyBytes, query),
      pictures,
      query,
    )
    const load = { targets, seconds: bench.seconds, workspace: bench.workspace }
    for (const server of [memory, disk]) {
      await warm(server, targets)
      await warmUp(server, load, bench.quick ? 0.5 : 1.5)
    }
    const from = async (server: Running, name: string) => {
      const { perCpuSecond, perSecond, busy } = await pour(server, load)
      bench.say(
        `${name}: ${Math.round(perCpuSecond)} a CPU second (${Math.round(perSecond)}/s, ${Math.round(busy * 100)} % of a core)`,
      )
      return perCpuSecond
    }
    const taken = await interleave(bench.rounds, {
      disk: () => from(disk, 'disk'),
      memory: () => from(memory, 'memory'),
    })
    return {
      figures: [
        figure('hit.disk', 'Halftone, disk hit', 'req/s', taken.disk),
        figure('hit.memory-120', 'Halftone, memory hit of 120 pictures', 'req/s', taken.memory),
        figure('disk-hit/memory-hit', 'disk hit against memory hit', 'ratio', ratios(taken.disk, taken.memory)),
      ],
      notes: [
        `${await tierShare(disk)} of the answers of the server under test came from disk; files are in the page cache`,
      ],
    }
  } finally {
    await memory.stop()
    await disk.stop()
  }
}

async function tierShare(server: Running): Promise<string> {
  const [disk, all] = [
    await metric(server, 'halftone_requests_total', 'outcome="disk"'),
    await metric(server, 'halftone_requests_total'),
  ]
  return `${((disk / all) * 100).toFixed(1)} %`
}

const halftone = (bench: Bench, name: string, settings: Readonly<Record<string, string>>) =>
  startHalftone({
    root: bench.root,
    pictures: bench.pictures.folder,
    dataDir: join(bench.workspace, name),
    core: serverCore,
    settings: { HALFTONE_RENDERERS: '1', ...settings },
  })
