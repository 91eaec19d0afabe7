import { existsSync } from 'node:fs'
import { getCompileCacheDir } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname } from 'node:path'
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
 * glibc gives every block above 128 kB to 32 MB back to the system as soon as it is free, and the next picture faults it in anew.
 * Here blocks up to 32 MB come from one heap whose free end may be 64 MB, in huge pages where the kernel grants them: 600 ms for 16
 * variants of one original instead of 740, and 1,150 with jemalloc (docs/decisions/shared-decode.md).
 */
const glibcOptions = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: String(32 * 1024 * 1024),
  MALLOC_TRIM_THRESHOLD_: String(64 * 1024 * 1024),
  GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1',
}

/**
 * The whole environment of a renderer, written from scratch: of the front's only its temporary folder, so no secret. jemalloc with decay
 * gives more memory back between pictures, at the price of faulting it in again; glibc keeps what the next picture needs.
 */
export function rendererEnvironment(jemalloc: 'auto' | 'off'): NodeJS.ProcessEnv {
  const library = jemalloc === 'auto' ? findJemalloc() : undefined
  const allocator = library ? { LD_PRELOAD: library, MALLOC_CONF: jemallocOptions } : glibcOptions
  return {
    LANG: 'C.UTF-8',
    UV_THREADPOOL_SIZE: String(executorLimits.threadPoolSize),
    // Where it may make files of its own.
    TMPDIR: tmpdir(),
    ...allocator,
    ...compileCache(),
  }
}

/** That of this process, where it has one: from the sources, a renderer is ready 0.2 s sooner when nothing has to be stripped again. */
function compileCache(): NodeJS.ProcessEnv {
  const directory = getCompileCacheDir()
  return directory === undefined ? {} : { NODE_COMPILE_CACHE: dirname(directory) }
}

function findJemalloc(): string | undefined {
  const folders = process.platform === 'linux' ? (jemallocFolders[process.arch] ?? []) : []
  return folders.map((folder) => `${folder}/libjemalloc.so.2`).find((path) => existsSync(path))
}
