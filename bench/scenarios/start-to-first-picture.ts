import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { figure, type Bench, type Scenario, type ScenarioResult } from '../bench.ts'
import { browserAccept } from '../harness/load.ts'
import { end, freePort } from '../harness/start-process.ts'

const giveUpMs = 60_000
/** The first start may install and draw. */
const firstGiveUpMs = 600_000
const pollMs = 10

/** `npm start` in a clone that has been started before, until the first picture is there; rendered, as its cache is empty. */
export const startToFirstPicture: Scenario = {
  name: 'start-to-first-picture',
  about: 'npm start on a prepared clone',
  cheap: true,
  run,
}

async function run(bench: Bench): Promise<ScenarioResult> {
  const rounds: number[] = []
  // The first is not counted.
  for (let round = -1; round < bench.rounds; round++) {
    const seconds = await startOnce(bench, round, round < 0 ? firstGiveUpMs : giveUpMs)
    if (round >= 0) rounds.push(seconds)
  }
  return {
    figures: [figure('start.seconds', 'from npm start to the last byte of the first picture', 's', rounds)],
    notes: [],
  }
}

async function startOnce(bench: Bench, round: number, patienceMs: number): Promise<number> {
  const port = await freePort()
  const { PATH = '', HOME = '' } = process.env
  const startedMs = performance.now()
  const child = spawn('npm', ['start', '--silent'], {
    cwd: bench.root,
    env: { PATH, HOME, PORT: String(port), HALFTONE_DATA_DIR: join(bench.workspace, `data-${round}`) },
    stdio: 'ignore',
  })
  try {
    const url = `http://127.0.0.1:${port}/photos/lake.jpg?w=800&auto=format`
    for (;;) {
      const response = await fetch(url, { headers: { accept: browserAccept } }).catch(() => undefined)
      await response?.arrayBuffer()
      if (response?.ok) return (performance.now() - startedMs) / 1000
      if (child.exitCode !== null || performance.now() - startedMs > patienceMs)
        throw new Error('npm start did not come to answer with a picture')
      await sleep(pollMs)
    }
  } finally {
    await end(child)
    await untilGone(port)
  }
}

/** npm ends before the server that it started. */
async function untilGone(port: number): Promise<void> {
  const startedMs = performance.now()
  while (performance.now() - startedMs < giveUpMs) {
    const isThere = await fetch(`http://127.0.0.1:${port}/-/health`).catch(() => undefined)
    if (!isThere) return
    await sleep(pollMs)
  }
}
