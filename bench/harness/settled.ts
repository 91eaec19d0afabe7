import { setTimeout as sleep } from 'node:timers/promises'
import { cpuSeconds } from './process-usage.ts'
import type { Running } from './start-process.ts'

/** Longer than the pause between any two steps of a request; the clock that is watched ticks every 10 ms. */
const stillMs = 300
/** An idle Node process with its timers stays below this share of a core. */
const idleShare = 0.05
const giveUpMs = 60_000

/** Waits until neither the front nor a renderer does anything. Watched from outside: asking for metrics costs more than a small render. */
export async function settled(server: Running): Promise<void> {
  const startedMs = performance.now()
  for (let before = server.cpuSeconds(); performance.now() - startedMs < giveUpMs; before = server.cpuSeconds()) {
    await sleep(stillMs)
    if (server.cpuSeconds() - before <= (stillMs / 1000) * idleShare) return
  }
}

export type CpuMs = {
  /** Of front and renderers. */
  readonly all: number
  readonly front: number
}

/** CPU milliseconds spent on `work`, what it leaves behind included. */
export async function cpuMsOf(server: Running, work: () => Promise<void>): Promise<CpuMs> {
  await settled(server)
  const before = { all: server.cpuSeconds(), front: cpuSeconds(server.pid, 'alone') }
  await work()
  await settled(server)
  return {
    all: (server.cpuSeconds() - before.all) * 1000,
    front: (cpuSeconds(server.pid, 'alone') - before.front) * 1000,
  }
}
