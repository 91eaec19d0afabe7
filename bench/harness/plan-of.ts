import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { builtServer } from '../../scripts/built-server.mjs'
import type { Variant } from '../peers/render-peer.ts'
import type { HalftoneOptions } from './start-halftone.ts'

const run = promisify(execFile)

/** What Halftone would do for a target, asked of `halftone explain`, so that a yardstick does the very same. */
export async function planOf(
  target: string,
  options: Pick<HalftoneOptions, 'root' | 'pictures' | 'dataDir'>,
): Promise<Variant> {
  const { PATH = '' } = process.env
  const node = ['--disable-warning=ExperimentalWarning', builtServer(options.root)]
  const { stdout } = await run(process.execPath, [...node, 'explain', '--json', target], {
    cwd: options.root,
    env: {
      PATH,
      HALFTONE_SOURCE: options.pictures,
      HALFTONE_DATA_DIR: options.dataDir,
      HALFTONE_LOG_LEVEL: 'error',
      HALFTONE_RENDERERS: '1',
    },
  })
  const { plan } = JSON.parse(stdout) as { plan: Variant }
  return { width: plan.width, height: plan.height, output: plan.output }
}
