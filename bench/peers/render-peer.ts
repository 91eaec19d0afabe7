import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { end } from '../harness/start-process.ts'

/** One picture to make of each file. `output` is that of a transform plan; peers with their own defaults look at the format only. */
export type RenderJob = {
  readonly files: readonly string[]
  readonly variants: readonly Variant[]
}

export type Variant = {
  readonly width: number
  readonly height: number
  readonly output: { readonly format: string } & Readonly<Record<string, unknown>>
}

export type Rendered = {
  /** User and system time of the whole process, its libvips threads included. */
  readonly cpuMs: number
  readonly wallMs: number
  /** Of every result, in order. */
  readonly bytes: readonly number[]
}

export type RenderPeer = {
  readonly render: (job: RenderJob) => Promise<Rendered>
  readonly stop: () => Promise<void>
}

/** Starts `<name>-worker.ts` of this folder: one process that renders what it is told. */
export function startRenderPeer(name: 'bare-sharp' | 'bare-decode' | 'ipx' | 'next'): RenderPeer {
  const script = fileURLToPath(new URL(`${name}-worker.ts`, import.meta.url))
  const child = fork(script, {
    execArgv: ['--disable-warning=ExperimentalWarning'],
    env: { ...process.env, NODE_ENV: 'production', NEXT_TELEMETRY_DISABLED: '1' },
    // Only errors: a peer's warnings would stand in the middle of our table.
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  return {
    render: (job) =>
      new Promise((resolve, reject) => {
        const ended = () => reject(new Error(`${name} ended while it rendered`))
        child.once('exit', ended)
        child.once('message', (answer: Rendered | { error: string }) => {
          child.off('exit', ended)
          if ('error' in answer) reject(new Error(`${name}: ${answer.error}`))
          else resolve(answer)
        })
        child.send(job)
      }),
    stop: () => end(child),
  }
}
