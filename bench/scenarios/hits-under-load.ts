import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { figure, ratios, type Bench, type Scenario, type ScenarioResult } from '../bench.ts'
import { fetchOnce, fetchPicture, widthFor } from '../harness/hit-targets.ts'
import { measureLatency } from '../harness/latency.ts'
import { interleave } from '../harness/rounds.ts'
import { metric, startHalftone } from '../harness/start-halftone.ts'
import type { Running } from '../harness/start-process.ts'
import { startBufferServer } from '../peers/buffer-server.ts'

const rate = 500
const bodyBytes = 20_000
/** More than there are renderers, so that none of them is ever without work. */
const missesAtOnce = 8
/** The slowest hundredth of a run is a handful of requests, so it takes more runs. */
const moreRounds = 2
const rampUpMs = 700

/** Hits at a fixed rate, with all renderers idle and with all of them busy. */
export const hitsUnderLoad: Scenario = {
  name: 'hits-under-load',
  about: `memory hits at ${rate}/s while all renderers are busy: latency`,
  cheap: false,
  run,
}

async function run(bench: Bench): Promise<ScenarioResult> {
  const server = await startHalftone({
    root: bench.root,
    pictures: bench.pictures.folder,
    dataDir: join(bench.workspace, 'data'),
  })
  const stop: Running[] = [server]
  try {
    const query = 'auto=format'
    const width = await widthFor(server, bench.pictures.small, bodyBytes, query)
    const target = `/${bench.pictures.small}?w=${width}&${query}`
    const { body, headers } = await fetchPicture(server, target)
    const bare = await startBufferServer('node-http', { folder: bench.workspace, body, headers })
    stop.push(bare)
    const pressure = createPressure(server, bench.pictures.megapixels12)
    const p99 = async (asked: Running, path: string) => {
      const latency = await measureLatency(asked, { target: path, rate, seconds: bench.seconds })
      bench.say(`p50 ${latency.p50Ms.toFixed(2)} ms, p99 ${latency.p99Ms.toFixed(2)} ms, ${latency.failures} failures`)
      return latency.p99Ms
    }
    await p99(server, target)
    const taken = await interleave(bench.rounds + moreRounds, {
      idle: () => p99(server, target),
      busy: () => pressure.during(() => p99(server, target)),
      bareIdle: () => p99(bare, '/picture'),
      bareBusy: () => pressure.during(() => p99(bare, '/picture')),
    })
    return {
      figures: [
        figure('busy.idle-p99', 'p99, renderers idle', 'ms', taken.idle),
        figure('busy.p99', 'p99, renderers busy', 'ms', taken.busy),
        figure('busy.bare-idle-p99', 'p99 of bare node:http, renderers idle', 'ms', taken.bareIdle),
        figure('busy.bare-p99', 'p99 of bare node:http, renderers busy', 'ms', taken.bareBusy),
        figure('busy/idle', 'p99 busy against idle', 'ratio', ratios(taken.busy, taken.idle)),
        figure(
          'busy/bare',
          'the same of bare node:http: what the machine does',
          'ratio',
          ratios(taken.bareBusy, taken.bareIdle),
        ),
      ],
      notes: pressure.notes(),
    }
  } finally {
    for (const one of stop) await one.stop()
  }
}

/** Keeps every renderer at work with misses of a 12 MP original while something else is measured. */
function createPressure(server: Running, picture: string) {
  let next = 0
  let answered = 0
  let refused = 0
  const busy: number[] = []
  return {
    async during<T>(work: () => Promise<T>): Promise<T> {
      const state = { running: true }
      const misses = Array.from({ length: missesAtOnce }, async () => {
        while (state.running) {
          next += 1
          const { status } = await fetchOnce(
            server,
            `/${picture}?w=1000&fm=webp&fp-x=${(next / 1e5).toFixed(5)}&fit=crop&crop=focalpoint&h=${600 + (next % 300)}`,
          )
          if (status === 200) answered += 1
          else refused += 1
        }
      })
      await sleep(rampUpMs)
      busy.push((await metric(server, 'halftone_renderers_busy')) / (await metric(server, 'halftone_renderers')))
      try {
        return await work()
      } finally {
        state.running = false
        await Promise.all(misses)
      }
    },
    notes: () => [
      `${Math.round((busy.reduce((sum, share) => sum + share, 0) / busy.length) * 100)} % of the renderers were busy when asked; ${answered} misses answered, ${refused} refused`,
    ],
  }
}
