import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { bareEnvironment, builtEntry } from './run-halftone.ts'
import { projectRoot } from './start-halftone.ts'

export type SpawnedHalftone = {
  readonly origin: string
  readonly process: ChildProcess
  readonly output: () => string
  /** Pids of its child processes: the renderers. */
  renderers(): number[]
  kill(signal: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null }>
}

/** `halftone serve` as a process of its own, as it runs in earnest; resolves when it listens. */
export async function spawnHalftone(
  settings: Record<string, string>,
  args: readonly string[] = ['serve'],
  entry = builtEntry,
): Promise<SpawnedHalftone> {
  const child = spawn(process.execPath, [entry, ...args], {
    cwd: projectRoot,
    env: { ...bareEnvironment(), PORT: '0', HOST: '127.0.0.1', ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) =>
    child.once('exit', (code, signal) => resolve({ code, signal })),
  )
  const origin = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      const port = /"event":"listening".*?"port":(\d+)/.exec(output)?.[1]
      if (port) resolve(`http://127.0.0.1:${port}`)
    })
    child.once('exit', () => reject(new Error(`halftone ended before it listened:\n${output}`)))
  })
  return {
    origin,
    process: child,
    output: () => output,
    renderers: () => (child.pid === undefined ? [] : childrenOf(child.pid)),
    kill(signal) {
      child.kill(signal)
      return exited
    },
  }
}

/** Linux: children of a process, by the kernel's own list. */
export function childrenOf(pid: number): number[] {
  const list = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
  return list === '' ? [] : list.split(' ').map(Number)
}

export function isAlive(pid: number): boolean {
  try {
    // A zombie still has a pid, but its state says that it is dead.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
