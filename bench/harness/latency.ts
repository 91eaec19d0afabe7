import { fileURLToPath } from 'node:url'
import { spawnPinned, clientCore, type Running } from './start-process.ts'
import { browserAccept } from './load.ts'

export type LatencyJob = {
  readonly origin: string
  readonly target: string
  readonly rate: number
  readonly seconds: number
  readonly accept: string
}

export type Latency = {
  readonly requests: number
  readonly failures: number
  readonly p50Ms: number
  readonly p99Ms: number
}

const child = fileURLToPath(new URL('latency-child.ts', import.meta.url))

/** Sends requests at a fixed rate, whether or not earlier ones were answered, from a process on the other core. */
export async function measureLatency(
  server: Running,
  options: Pick<LatencyJob, 'target' | 'rate' | 'seconds'>,
): Promise<Latency> {
  const job: LatencyJob = { ...options, origin: server.origin, accept: browserAccept }
  const probe = spawnPinned([process.execPath, '--disable-warning=ExperimentalWarning', child, JSON.stringify(job)], {
    core: clientCore,
  })
  let output = ''
  probe.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const code = await new Promise((resolve) => probe.once('exit', resolve))
  if (code !== 0) throw new Error(`the latency probe ended with ${String(code)}`)
  return JSON.parse(output) as Latency
}
