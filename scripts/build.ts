/** `npm run build`: bundles the server and the client into `dist/`, and writes the client's types. */
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { resolve } from 'node:path'
import { bundleClient, placeTypes } from './build-client.ts'
import { bundleServer } from './bundle-server.ts'

const root = resolve(import.meta.dirname, '..')
rmSync(resolve(root, 'dist'), { recursive: true, force: true })
const { status } = spawnSync(process.execPath, ['node_modules/tsgo/bin/tsc', '-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
})
if (status !== 0) process.exit(status ?? 1)
placeTypes(resolve(root, 'dist'))
await bundleServer(resolve(root, 'dist'))
await bundleClient(resolve(root, 'dist'))
