import { readFile, writeFile } from 'node:fs/promises'
import { stripTypeScriptTypes } from 'node:module'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort, serverCore, startProcess, type Running } from '../harness/start-process.ts'

export type BufferServer = 'node-http' | 'express'

/** What a `*-server.ts` beside this file is told in its arguments. */
export type BufferServerJob = {
  readonly port: number
  readonly file: string
  readonly headers: Readonly<Record<string, string>>
}

/** Starts a bare node:http server or an express route that sends one buffer with the given headers at `/picture`, by this Node or another. */
export async function startBufferServer(
  kind: BufferServer,
  options: { folder: string; body: Buffer; headers: Readonly<Record<string, string>>; core?: number; node?: string },
): Promise<Running> {
  const port = await freePort()
  const file = join(options.folder, `${kind}.body`)
  await writeFile(file, options.body)
  const job: BufferServerJob = { port, file, headers: options.headers }
  const source = fileURLToPath(new URL(`${kind}-server.ts`, import.meta.url))
  const script = options.node === undefined ? source : await withoutTypes(source, options.folder)
  return startProcess({
    command: [options.node ?? process.execPath, '--disable-warning=ExperimentalWarning', script, JSON.stringify(job)],
    port,
    readyPath: '/picture',
    env: { NODE_ENV: 'production' },
    core: options.core ?? serverCore,
  })
}

/** For a Node that knows no types; in the folder, packages are found as from here. */
async function withoutTypes(source: string, folder: string): Promise<string> {
  const script = join(folder, `${basename(source, '.ts')}.mjs`)
  await writeFile(script, stripTypeScriptTypes(await readFile(source, 'utf8')))
  return script
}
