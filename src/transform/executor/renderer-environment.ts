import { existsSync } from 'node:fs'
import { executorLimits } from './executor-limits.ts'

/** Where distributions put jemalloc, by Node's name of the architecture. */
const jemallocFolders: Readonly<Partial<Record<NodeJS.Architecture, readonly string[]>>> = {
  x64: ['/usr/lib/x86_64-linux-gnu', '/usr/lib64', '/usr/lib'],
  arm64: ['/usr/lib/aarch64-linux-gnu', '/usr/lib64', '/usr/lib'],
}

/**
 * Memory that was given back is kept for a second, blocks above 8 MB too: a decoded photograph or the frames of an encoder, given to
 * the system at once and fetched again by page faults, are an eighth of the time that an AVIF takes.
 */
const jemallocOptions = 'background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0,oversize_threshold:0'

/**
 * The whole environment of a renderer, written from scratch: nothing of the front's, so no secret. jemalloc with decay
 * gives memory back between pictures; without it, fewer glibc arenas keep fragmentation down.
 */
export function rendererEnvironment(jemalloc: 'auto' | 'off'): NodeJS.ProcessEnv {
  const library = jemalloc === 'auto' ? findJemalloc() : undefined
  const allocator = library ? { LD_PRELOAD: library, MALLOC_CONF: jemallocOptions } : { MALLOC_ARENA_MAX: '2' }
  return { LANG: 'C.UTF-8', UV_THREADPOOL_SIZE: String(executorLimits.threadPoolSize), ...allocator }
}

function findJemalloc(): string | undefined {
  const folders = process.platform === 'linux' ? (jemallocFolders[process.arch] ?? []) : []
  return folders.map((folder) => `${folder}/libjemalloc.so.2`).find((path) => existsSync(path))
}
