import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { createServer, type AddressInfo } from 'node:net'
import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { cpuSeconds, residentBytes } from './process-usage.ts'

export type Running = {
  readonly origin: string
  readonly pid: number
  /** Of the process and all below it. */
  readonly cpuSeconds: () => number
  readonly residentBytes: () => number
  readonly stop: () => Promise<void>
}

export type Start = {
  readonly command: readonly [string, ...string[]]
  readonly port: number
  readonly readyPath: string
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Pins the process and its children to this core where the machine has several. */
  readonly core?: number
}

const startTimeoutMs = 30_000
const stopTimeoutMs = 30_000
const outputKept = 4000

/** The core of what is measured, and the one of what measures. */
export const serverCore = 0
export const clientCore = 1

const canPin = availableParallelism() > 1 && spawnSync('taskset', ['-V']).status === 0

/** Starts a server as a process of its own and waits until `readyPath` answers 200. */
export async function startProcess(start: Start): Promise<Running> {
  const child = spawnPinned(start.command, start)
  let output = ''
  const keep = (chunk: Buffer) => (output = (output + chunk.toString()).slice(-outputKept))
  child.stderr?.on('data', keep)
  // Read like a log shipper would, or a full pipe would stop the server.
  child.stdout?.resume()
  const origin = `http://127.0.0.1:${start.port}`
  try {
    await untilReady(`${origin}${start.readyPath}`, child)
  } catch (error) {
    child.kill('SIGKILL')
    throw new Error(`${start.command.join(' ')} did not start:\n${output}`, { cause: error })
  }
  const pid = pidOf(child)
  return {
    origin,
    pid,
    cpuSeconds: () => cpuSeconds(pid),
    residentBytes: () => residentBytes(pid),
    stop: () => end(child),
  }
}

/** `taskset` replaces itself by the command, so the pid is the command's. */
export function spawnPinned(
  [command, ...args]: readonly [string, ...string[]],
  { core, env, cwd }: Pick<Start, 'core' | 'env' | 'cwd'>,
): ChildProcess {
  const pin = core !== undefined && canPin
  const { PATH = '', HOME = '' } = process.env
  return spawn(pin ? 'taskset' : command, pin ? ['-c', String(core), command, ...args] : args, {
    ...(cwd === undefined ? {} : { cwd }),
    env: { PATH, HOME, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

export function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error(`${child.spawnfile} could not be started`)
  return child.pid
}

/** A port nobody listens on right now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  const impatient = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs)
  await exited
  clearTimeout(impatient)
}

async function untilReady(url: string, child: ChildProcess): Promise<void> {
  const giveUpMs = performance.now() + startTimeoutMs
  while (performance.now() < giveUpMs) {
    if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}`)
    const response = await fetch(url).catch(() => undefined)
    await response?.arrayBuffer()
    if (response?.ok) return
    await sleep(25)
  }
  throw new Error(`no answer within ${startTimeoutMs} ms`)
}
