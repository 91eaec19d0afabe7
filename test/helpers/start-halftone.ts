import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createApp, type App, type AppOptions } from '../../src/app.ts'
import { listSamples } from '../../src/cli/samples.ts'
import { loadConfig } from '../../src/config/load-config.ts'
import { createLogger } from '../../src/observability/create-logger.ts'

export const projectRoot = resolve(import.meta.dirname, '../..')

export type RunningHalftone = {
  readonly origin: string
  readonly dataDir: string
  readonly app: App
  /** Parsed log lines so far. */
  readonly logLines: Record<string, unknown>[]
  get(target: string, headers?: Record<string, string>): Promise<Response>
  stop(): Promise<void>
}

/** The whole application in this process on a free loopback port, over the given folder; settings as in the environment. */
export async function startHalftone(
  settings: Record<string, string>,
  options: Pick<AppOptions, 'resolveHost'> = {},
): Promise<RunningHalftone> {
  const ownDataDir = settings['HALFTONE_DATA_DIR'] === undefined
  const dataDir = settings['HALFTONE_DATA_DIR'] ?? mkdtempSync(join(tmpdir(), 'halftone-data-'))
  const loaded = loadConfig(
    { PORT: '0', HOST: '127.0.0.1', HALFTONE_DATA_DIR: dataDir, ...settings },
    { cwd: projectRoot, packageDir: projectRoot },
  )
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.faults))
  const logLines: Record<string, unknown>[] = []
  const logger = createLogger({
    level: 'debug',
    destination: { write: (line) => void logLines.push(JSON.parse(line) as Record<string, unknown>) },
  })
  const app = await createApp(loaded.config, { ...options, logger, samples: listSamples(loaded.config) })
  const origin = await app.listen()
  return {
    origin,
    dataDir,
    app,
    logLines,
    get: (target, headers = {}) => fetch(`${origin}${target}`, { headers }),
    async stop() {
      await app.close()
      if (ownDataDir) rmSync(dataDir, { recursive: true, force: true })
    },
  }
}
