import { readSync } from 'node:fs'

/** Reads that do without a thread of the pool, for pages that the kernel surely still has. */
export interface QuickReads {
  /** Fills `bytes` from `position` and says how much came; undefined when it must not be tried now. Throws system errors. */
  into(fd: number, bytes: Buffer, position: number): number | undefined
}

/**
 * Waking a thread costs more than the read that it does: 90 us of processor time a disk hit instead of 50. But what waits for a disk here,
 * waits with all of the server. So this is only for files that were read a few seconds ago, of this size at most (the copy takes 20 us) ...
 */
const maxBytes = 128 * 1024
/** ... and after a read that took so long, the threads have the work again for a while. */
const tooSlowMs = 10
/**
 * Mostly it was the machine that had no time just then, so the first pause is short. Each slow read that follows within the longest one
 * doubles it: a disk that is really slow stops the server for one read a minute.
 */
const pauseMs = { shortest: 1000, longest: 60_000 }

export function createQuickReads(
  options: {
    readonly nowMs?: () => number
    readonly read?: (fd: number, bytes: Buffer, position: number) => number
  } = {},
): QuickReads {
  const { nowMs = () => performance.now(), read = readWhole } = options
  let notBeforeMs = 0
  let lastPauseMs = 0
  const pauseFrom = (nowMs: number) => {
    const isAgain = notBeforeMs > 0 && nowMs - notBeforeMs < pauseMs.longest
    lastPauseMs = isAgain ? Math.min(lastPauseMs * 2, pauseMs.longest) : pauseMs.shortest
    notBeforeMs = nowMs + lastPauseMs
  }
  return {
    into(fd, bytes, position) {
      const startedMs = nowMs()
      if (bytes.length > maxBytes || startedMs < notBeforeMs) return undefined
      try {
        return read(fd, bytes, position)
      } finally {
        const endedMs = nowMs()
        if (endedMs - startedMs > tooSlowMs) pauseFrom(endedMs)
      }
    },
  }
}

const readWhole = (fd: number, bytes: Buffer, position: number) => readSync(fd, bytes, 0, bytes.length, position)
