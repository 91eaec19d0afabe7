import { spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { clientCore, spawnPinned, type Running } from './start-process.ts'

export type Load = {
  /** Asked for in turn. */
  readonly targets: readonly string[]
  readonly seconds: number
  readonly connections?: number
  /** Requests a second; as many as are answered when left out. */
  readonly rate?: number
  /** Asks for uploads in place of pictures, each with a body of its own, with these headers. */
  readonly presigns?: Readonly<Record<string, string>>
  readonly workspace: string
}

export type Poured = {
  readonly requests: number
  /** Requests for each second of processor time: what one core of its own would answer, however busy the machine is with others. */
  readonly perCpuSecond: number
  readonly perSecond: number
  /** Share of one core that the server had; well below 1 the generator or other processes were in the way. */
  readonly busy: number
  readonly failures: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** Loads a server until it has spent this much processor time, so that code is compiled even where others hold the core. */
export async function warmUp(server: Running, load: Load, cpuSeconds: number): Promise<void> {
  const before = server.cpuSeconds()
  for (let turn = 0; turn < mostWarmUps && server.cpuSeconds() - before < cpuSeconds; turn++)
    await pour(server, { ...load, seconds: 1 })
}

type Answered = Pick<Poured, 'requests' | 'failures' | 'p50Ms' | 'p99Ms'> & { readonly seconds: number }

/** What browsers send for an <img>. */
export const browserAccept = 'image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8'

const defaultConnections = 32
const mostWarmUps = 8
const autocannonChild = fileURLToPath(new URL('autocannon-child.ts', import.meta.url))

/** autocannon answers fewer requests than nginx does, so figures of fast servers need wrk. */
export const hasWrk = spawnSync('wrk', ['-v']).error === undefined

/** Loads a server from a process of its own on the other core. */
export async function pour(server: Running, load: Load): Promise<Poured> {
  const before = server.cpuSeconds()
  const answered =
    load.rate === undefined && load.presigns === undefined && hasWrk
      ? await runWrk(server, load)
      : await runAutocannon(server, load)
  const cpu = Math.max(server.cpuSeconds() - before, 0.01)
  const { requests, seconds, failures, p50Ms, p99Ms } = answered
  if (requests === 0) throw new Error(`${server.origin} answered nothing`)
  return {
    ...{ requests, failures, p50Ms, p99Ms },
    perCpuSecond: requests / cpu,
    perSecond: requests / seconds,
    busy: cpu / seconds,
  }
}

async function runWrk(server: Running, load: Load): Promise<Answered> {
  const script = join(load.workspace, 'targets.lua')
  await writeFile(script, luaScript(load.targets))
  const connections = String(load.connections ?? defaultConnections)
  const args = ['-t1', `-c${connections}`, `-d${load.seconds}`, '-s', script, server.origin] as const
  const output = await outputOf(['wrk', ...args])
  const { requests, microseconds, failures, p50, p99 } = JSON.parse(lastLine(output)) as Record<string, number>
  return {
    requests: requests ?? 0,
    seconds: (microseconds ?? 0) / 1e6,
    failures: failures ?? 0,
    p50Ms: (p50 ?? 0) / 1000,
    p99Ms: (p99 ?? 0) / 1000,
  }
}

function luaScript(targets: readonly string[]): string {
  return `
local targets = { ${targets.map((target) => JSON.stringify(target)).join(', ')} }
local requests, at = {}, 0
function init()
  for i, target in ipairs(targets) do
    requests[i] = wrk.format("GET", target, { ["Host"] = wrk.host .. ":" .. wrk.port, ["Accept"] = "${browserAccept}" })
  end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format('\\n{"requests":%d,"microseconds":%d,"failures":%d,"p50":%d,"p99":%d}\\n', summary.requests,
    summary.duration, e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(50), latency:percentile(99)))
end
`
}

async function runAutocannon(server: Running, load: Load): Promise<Answered> {
  const job = {
    url: server.origin,
    targets: load.targets,
    seconds: load.seconds,
    connections: load.connections ?? defaultConnections,
    rate: load.rate ?? null,
    headers: load.presigns ?? { accept: browserAccept },
    presigns: load.presigns !== undefined,
  }
  const node = [process.execPath, '--disable-warning=ExperimentalWarning'] as const
  return JSON.parse(lastLine(await outputOf([...node, autocannonChild, JSON.stringify(job)]))) as Answered
}

async function outputOf(command: readonly [string, ...string[]]): Promise<string> {
  const child = spawnPinned(command, { core: clientCore })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const code = await new Promise<number | null>((resolve, reject) => child.once('error', reject).once('exit', resolve))
  if (code !== 0) throw new Error(`${command[0]} failed:\n${output}`)
  return output
}

function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1) ?? ''
}
