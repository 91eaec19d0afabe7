import { execFile } from 'node:child_process'
import { builtServer } from '../../scripts/built-server.mjs'
import { compileCacheOf } from '../../scripts/launch-options.mjs'
import { projectRoot } from './start-halftone.ts'

export type Ran = { readonly code: number; readonly stdout: string; readonly stderr: string }

/** The server as `npm start` runs it. */
export const builtEntry: string = builtServer(projectRoot, {
  onFailure(reason) {
    throw new Error(`the server could not be bundled: ${reason}`)
  },
})
/** The same, module by module. */
export const sourceEntry = 'src/main.ts'

/** All that such a process gets of the environment; with what was compiled before it starts in half the time. */
export function bareEnvironment(): Record<string, string> {
  const { PATH = '' } = process.env
  return { PATH, ...compileCacheOf(projectRoot, builtEntry) }
}

/** `halftone` with these arguments, to its end. */
export function runHalftone(
  args: readonly string[],
  settings: Readonly<Record<string, string>> = {},
  entry = builtEntry,
): Promise<Ran> {
  const env = { ...bareEnvironment(), ...settings }
  return new Promise((resolve) => {
    execFile(process.execPath, [entry, ...args], { cwd: projectRoot, env }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? 1 : 0, stdout, stderr })
    })
  })
}
