import { AppError } from '../errors.ts'
import { createSlots } from '../lib/slots.ts'
import { abortError } from '../sources/until-aborted.ts'

/** Sources whose disk has kept a renderer waiting: for a while their originals are read here, so that no other renderer waits. */
export interface SlowSources {
  note(sourceName: string): void
  isSlow(sourceName: string): boolean
  /** Reads from one that is slow, beside few others. Throws `overloaded` when too many wait, else what `read` throws, or the signal's reason. */
  read<Value>(sourceName: string, signal: AbortSignal, read: () => Promise<Value>): Promise<Value>
}

export const slowSourceLimits = {
  /** A read that takes longer keeps its source among the slow ones; 12 MB from a disk of 150 MB/s take 80 ms. */
  slowReadMs: 100,
  /** How long a source that was slow is taken to be slow. */
  keepMs: 60_000,
  /** Half of the threads that the front has for files: disk hits need some, too. */
  readsAtOnce: 8,
  readsWaiting: 200,
} as const

export function createSlowSources(nowMs: () => number): SlowSources {
  // By name: sources come from the configuration, so they are few.
  const untilMs = new Map<string, number>()
  const slots = createSlots({ active: slowSourceLimits.readsAtOnce, waiting: slowSourceLimits.readsWaiting })
  const note = (sourceName: string): void => void untilMs.set(sourceName, nowMs() + slowSourceLimits.keepMs)
  return {
    note,
    isSlow: (sourceName) => (untilMs.get(sourceName) ?? 0) > nowMs(),
    async read(sourceName, signal, read) {
      const release = await slots.take(signal)
      if (!release) throw signal.aborted ? abortError(signal) : new AppError('overloaded')
      const startedMs = nowMs()
      try {
        return await read()
      } finally {
        release()
        if (nowMs() - startedMs > slowSourceLimits.slowReadMs) note(sourceName)
      }
    },
  }
}
