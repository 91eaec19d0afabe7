import { execFile } from 'node:child_process'
import { launchEnvironment } from '../../scripts/launch-options.mjs'
import { projectRoot } from './start-halftone.ts'

export type Ran = { readonly code: number; readonly stdout: string; readonly stderr: string }

/** All that a process from the sources gets of the environment; with what was compiled before it starts in half the time. */
export function bareEnvironment(): Record<string, string> {
  const { PATH = '' } = process.env
  const { NODE_COMPILE_CACHE = '' } = launchEnvironment(projectRoot)
  return { PATH, NODE_COMPILE_CACHE }
}

/** `halftone` with these arguments, to its end. */
export function runHalftone(args: readonly string[], settings: Readonly<Record<string, string>> = {}): Promise<Ran> {
  const env = { ...bareEnvironment(), ...settings }
  return new Promise((resolve) => {
    execFile(process.execPath, ['src/main.ts', ...args], { cwd: projectRoot, env }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? 1 : 0, stdout, stderr })
    })
  })
}
