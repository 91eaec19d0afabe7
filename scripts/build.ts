/** `npm run build`: compiles `src/` to `dist/` (types stripped, imports rewritten to .js), bundles the client, copies the playground's files. */
import { spawnSync } from 'node:child_process'
import { cpSync, rmSync } from 'node:fs'
import { resolve } from 'node:path'
import { bundleClient, placeTypes } from './build-client.ts'

const root = resolve(import.meta.dirname, '..')
rmSync(resolve(root, 'dist'), { recursive: true, force: true })
const { status } = spawnSync(process.execPath, ['node_modules/tsgo/bin/tsc', '-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
})
if (status !== 0) process.exit(status ?? 1)
cpSync(resolve(root, 'src/playground'), resolve(root, 'dist/playground'), { recursive: true })
placeTypes(resolve(root, 'dist'))
await bundleClient(resolve(root, 'dist'))
