// How Node is started for the server: by scripts/launch.mjs, and by the benchmark, so that it measures what people run.
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'

export const nodeFlags = [
  // Type stripping still warns on the 22 line; a user can do nothing about it.
  '--disable-warning=ExperimentalWarning',
  // Node's young generation grows to 64 MB, and pictures that have left the cache wait in it to be freed.
  '--max-semi-space-size=2',
  // V8 lets garbage double a small heap before it looks for it. At 15 % it looked five times a second while pictures came from disk,
  // which cost half of each. At 40 %, with the allocator below, 146 MB are resident after 20,000 mixed requests.
  '--heap-growing-percent=40',
  // While the code is loaded little is garbage: without the five searches for it that a growing heap begins, a start takes a tenth less.
  '--initial-old-space-size=32',
]

/**
 * Gives memory back between pictures of all sizes, where glibc's holes add up: 146 MB resident against some 200 after 20,000 mixed requests.
 * An `LD_PRELOAD` in the environment, be it empty, goes before this one.
 */
export const jemallocOptions = 'background_thread:true,narenas:2,dirty_decay_ms:1000,muzzy_decay_ms:0'
const jemallocFolders = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64', '/usr/lib']

/** For the server; what it starts itself gets an environment of its own. */
export function serverEnvironment(root, file) {
  return { ...launchEnvironment(root), ...compileCacheOf(root, file), ...allocator() }
}

/** Files are looked up by their paths: what was compiled of a bundle goes with it. */
export function compileCacheOf(root, file) {
  const isBundled = !file.endsWith('.ts')
  return isBundled ? { NODE_COMPILE_CACHE: join(dirname(file), 'compiled') } : sourcesCompileCache(root)
}

const sourcesCompileCache = (root) => ({ NODE_COMPILE_CACHE: join(root, 'node_modules', '.cache', 'halftone') })

/** For everything that the launcher runs. */
export function launchEnvironment(root) {
  return {
    // Node's four file threads are soon all reading large originals, and hits from disk wait behind them.
    UV_THREADPOOL_SIZE: '16',
    // Where there is no jemalloc: an arena for each of those threads keeps 20 MB that nobody uses.
    MALLOC_ARENA_MAX: '2',
    // From the second start on nothing is stripped and compiled again: a third of a second and 19 MB less.
    ...sourcesCompileCache(root),
  }
}

function allocator() {
  const folders = process.platform === 'linux' ? jemallocFolders : []
  const library = folders.map((folder) => `${folder}/libjemalloc.so.2`).find((path) => existsSync(path))
  return library ? { LD_PRELOAD: library, MALLOC_CONF: jemallocOptions } : {}
}
