import { AppError } from '../errors.ts'
import { createSlots, type Slots } from '../lib/slots.ts'
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
  /** Of one source: a disk that answers nothing any more leaves room for one that is only slow. */
  readsOfOne: 4,
  /** The same: those who wait for one source stand in no other's way. */
  readsWaiting: 200,
} as const

export function createSlowSources(options: {
  readonly nowMs: () => number
  /** Told once, when a source becomes slow. */
  readonly onSlow: (sourceName: string) => void
}): SlowSources {
  const { nowMs, onSlow } = options
  // By name: sources come from the configuration, so they are few.
  const untilMs = new Map<string, number>()
  const slots = createSourceSlots()
  const isSlow = (sourceName: string) => (untilMs.get(sourceName) ?? 0) > nowMs()
  const extend = (sourceName: string) => void untilMs.set(sourceName, nowMs() + slowSourceLimits.keepMs)
  return {
    note(sourceName) {
      const isNew = !isSlow(sourceName)
      extend(sourceName)
      if (isNew) onSlow(sourceName)
    },
    isSlow,
    async read(sourceName, signal, read) {
      const release = await slots.take(sourceName, signal)
      if (!release) throw signal.aborted ? abortError(signal) : new AppError('overloaded')
      const startedMs = nowMs()
      try {
        return await read()
      } finally {
        release()
        if (nowMs() - startedMs > slowSourceLimits.slowReadMs) extend(sourceName)
      }
    },
  }
}

/** One of the places of its source, then one of all: only few of a source ever wait for the second. */
function createSourceSlots() {
  const { readsAtOnce, readsOfOne, readsWaiting } = slowSourceLimits
  const all = createSlots({ active: readsAtOnce, waiting: Infinity })
  const bySource = new Map<string, Slots>()
  const slotsOf = (sourceName: string): Slots => {
    const slots = bySource.get(sourceName) ?? createSlots({ active: readsOfOne, waiting: readsWaiting })
    bySource.set(sourceName, slots)
    return slots
  }
  return {
    async take(sourceName: string, signal: AbortSignal): Promise<(() => void) | undefined> {
      const releaseOwn = await slotsOf(sourceName).take(signal)
      if (!releaseOwn) return undefined
      const releaseAny = await all.take(signal)
      if (!releaseAny) releaseOwn()
      return (
        releaseAny &&
        (() => {
          releaseAny()
          releaseOwn()
        })
      )
    },
  }
}
