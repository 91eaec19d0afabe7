import { freePort, startProcess, type Running } from './start-process.ts'
import { builtServer } from '../../scripts/built-server.mjs'
import { nodeFlags, serverEnvironment } from '../../scripts/launch-options.mjs'

export type HalftoneOptions = {
  readonly root: string
  readonly pictures: string
  readonly dataDir: string
  readonly core?: number
  readonly settings?: Readonly<Record<string, string>>
}

/** `halftone serve` in a clone, as `npm start` runs it. Quiet unless `HALFTONE_LOG_LEVEL` is among the settings. */
export async function startHalftone(options: HalftoneOptions): Promise<Running> {
  const port = await freePort()
  const file = builtServer(options.root)
  return startProcess({
    command: [process.execPath, ...nodeFlags, file, 'serve'],
    cwd: options.root,
    port,
    readyPath: '/-/ready',
    env: {
      NODE_ENV: 'production',
      ...serverEnvironment(options.root, file),
      PORT: String(port),
      HALFTONE_SOURCE: options.pictures,
      HALFTONE_DATA_DIR: options.dataDir,
      HALFTONE_LOG_LEVEL: 'error',
      ...options.settings,
    },
    ...(options.core === undefined ? {} : { core: options.core }),
  })
}

/** Sum of a metric over all series whose labels contain `labels`. */
export async function metric(server: Running, name: string, labels = ''): Promise<number> {
  const text = await (await fetch(`${server.origin}/-/metrics`)).text()
  return text
    .split('\n')
    .filter((line) => (line.startsWith(`${name}{`) || line.startsWith(`${name} `)) && line.includes(labels))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
}
