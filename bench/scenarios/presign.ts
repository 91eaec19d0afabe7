import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { figure, ratios, type Bench, type Scenario, type ScenarioResult } from '../bench.ts'
import { pour, warmUp, type Poured } from '../harness/load.ts'
import { interleave } from '../harness/rounds.ts'
import { startHalftone } from '../harness/start-halftone.ts'
import { freePort, serverCore, startProcess, type Running } from '../harness/start-process.ts'
import { apiKey, authorization, uploadSettings } from '../harness/upload-client.ts'

const connections = 16
const warmUpCpuSeconds = 2

/** Permissions to upload, beside a bare server that promises as little as one can: one row, on the disk before it is told. */
export const presign: Scenario = {
  name: 'presign',
  about: 'POST /v1/uploads on SQLite, 16 connections, each for another file',
  cheap: false,
  run,
}

async function run(bench: Bench): Promise<ScenarioResult> {
  const halftone = await startHalftone({
    root: bench.root,
    pictures: bench.pictures.folder,
    dataDir: join(bench.workspace, 'data'),
    core: serverCore,
    settings: { ...uploadSettings, HALFTONE_API_KEYS: `bench:${apiKey}` },
  })
  const bare = await startBareInsert(bench)
  try {
    return await compareThem(halftone, bare, bench)
  } finally {
    await halftone.stop()
    await bare.stop()
  }
}

async function compareThem(halftone: Running, bare: Running, bench: Bench): Promise<ScenarioResult> {
  const presigns = { ...authorization(apiKey), 'content-type': 'application/json' }
  const load = { targets: ['/v1/uploads'], connections, workspace: bench.workspace, presigns }
  const runs: Record<'halftone' | 'bare', Poured[]> = { halftone: [], bare: [] }
  const measure = (name: 'halftone' | 'bare', server: Running) => async () => {
    const poured = await pour(server, { ...load, seconds: bench.seconds })
    if (poured.failures > 0) throw new Error(`${poured.failures} of ${poured.requests} presigns failed (${name})`)
    runs[name].push(poured)
    return poured.perCpuSecond
  }
  for (const server of [halftone, bare]) await warmUp(server, { ...load, seconds: 1 }, warmUpCpuSeconds)
  const taken = await interleave(bench.rounds, {
    halftone: measure('halftone', halftone),
    bare: measure('bare', bare),
  })
  const of = (name: 'halftone' | 'bare', what: keyof Poured) => runs[name].map((poured) => poured[what])
  return {
    figures: [
      figure('presign.p50', 'presign p50', 'ms', of('halftone', 'p50Ms')),
      figure('presign.p99', 'presign p99', 'ms', of('halftone', 'p99Ms')),
      figure('presign.clock', 'presigns by the clock', 'req/s', of('halftone', 'perSecond')),
      figure('presign.cpu', 'presigns for each second of CPU', 'req/s', taken.halftone),
      figure('presign.bare-p50', 'bare durable insert p50', 'ms', of('bare', 'p50Ms')),
      figure('presign.bare-p99', 'bare durable insert p99', 'ms', of('bare', 'p99Ms')),
      figure('presign.bare-clock', 'bare inserts by the clock', 'req/s', of('bare', 'perSecond')),
      figure('presign.bare-cpu', 'bare inserts for each second of CPU', 'req/s', taken.bare),
      figure(
        'presign/bare-clock',
        'presigns against bare inserts, by the clock',
        'ratio',
        ratios(of('halftone', 'perSecond'), of('bare', 'perSecond')),
      ),
      figure('presign/bare-cpu', 'presigns against bare inserts, by CPU', 'ratio', ratios(taken.halftone, taken.bare)),
    ],
    notes: ['waiting for the disk is no CPU: by the clock it is most of what the bare server does'],
  }
}

async function startBareInsert(bench: Bench): Promise<Running> {
  const port = await freePort()
  const script = fileURLToPath(new URL('../peers/durable-insert-server.ts', import.meta.url))
  const job = JSON.stringify({ port, file: join(bench.workspace, 'bare.sqlite') })
  return startProcess({
    command: [process.execPath, '--disable-warning=ExperimentalWarning', script, job],
    port,
    readyPath: '/',
    env: { NODE_ENV: 'production' },
    core: serverCore,
  })
}
