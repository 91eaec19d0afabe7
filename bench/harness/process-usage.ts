import { readFileSync, readdirSync } from 'node:fs'

/** Linux counts processor time in ticks of 10 ms on every architecture Node runs on. */
const tickSeconds = 0.01

/** A process and everything below it. */
export function processTree(root: number): readonly number[] {
  const children = childrenOf(root)
  return [root, ...children.flatMap((child) => processTree(child))]
}

/**
 * Seconds of processor time, user and system, of a process and everything below it, dead and reaped children included: the difference
 * of two readings is right even when a renderer was replaced in between.
 */
export function cpuSeconds(root: number, which: 'tree' | 'alone' = 'tree'): number {
  if (which === 'alone') return cpuTicks(root, 2) * tickSeconds
  return processTree(root).reduce((sum, pid) => sum + cpuTicks(pid, 4), 0) * tickSeconds
}

/** Resident bytes of this one process. */
export function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kilobytes) * 1024
}

/** `count`: 2 for its own time, 4 with that of its reaped children. */
function cpuTicks(pid: number, count: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name, in brackets, may contain spaces; utime is field 14 of proc(5), then stime, cutime, cstime.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields.slice(11, 11 + count).reduce((sum, field) => sum + Number(field), 0)
  } catch {
    return 0
  }
}

function childrenOf(pid: number): readonly number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number),
    )
  } catch {
    return []
  }
}
