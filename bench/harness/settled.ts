import { setTimeout as sleep } from 'node:timers/promises'
import { metric } from './start-halftone.ts'
import type { Running } from './start-process.ts'

const pollMs = 50
/** What comes after the answer: writing to disk, noting the use. */
const afterMs = 300

/** Waits until no renderer works and nothing is queued, so that work after the answer is counted too. */
export async function settled(server: Running): Promise<void> {
  do await sleep(pollMs)
  while ((await metric(server, 'halftone_renderers_busy')) + (await metric(server, 'halftone_render_queue_jobs')) > 0)
  await sleep(afterMs)
}

/** CPU milliseconds of front and renderers for `work`, what it leaves behind included. */
export async function cpuMsOf(server: Running, work: () => Promise<void>): Promise<number> {
  await settled(server)
  const before = server.cpuSeconds()
  await work()
  await settled(server)
  return (server.cpuSeconds() - before) * 1000
}
