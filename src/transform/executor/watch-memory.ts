import { readFileSync } from 'node:fs'
import { executorLimits } from './executor-limits.ts'

const kBPerMB = 1024

/**
 * Calls back, once, when a process is seen to hold more memory than this; returns what ends the watch. Where the kernel does
 * not tell (it does on Linux) nothing is watched.
 */
export function watchMemory(pid: number | undefined, limitMB: number, onAbove: (rssMB: number) => void): () => void {
  if (pid === undefined || process.platform !== 'linux') return () => undefined
  const timer = setInterval(() => {
    const rssMB = residentMB(pid)
    if (rssMB === undefined || rssMB <= limitMB) return
    clearInterval(timer)
    onAbove(rssMB)
  }, executorLimits.memoryWatchMs)
  return () => clearInterval(timer)
}

/** Read from `status` and not from `statm`, which counts in pages of a size that Node cannot ask for. Takes 0.03 ms. */
function residentMB(pid: number): number | undefined {
  try {
    const kB = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return kB === undefined ? undefined : Math.round(Number(kB) / kBPerMB)
  } catch {
    // It has ended; whoever waits for it is told.
    return undefined
  }
}
