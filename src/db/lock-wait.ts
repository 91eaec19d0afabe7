import { setTimeout as sleep } from 'node:timers/promises'
import { AppError } from '../errors.ts'

const longestPauseMs = 20

type Waiter = { readonly untilMs: number; readonly resolve: () => void; readonly reject: (error: unknown) => void }

/** How what another process has locked is waited for. SQLite's own waiting blocks the whole process, this does not. */
export type LockWait = {
  /** Repeats what found the database busy: it did nothing. Throws `overloaded` when the time is over. */
  untilFree<T>(work: () => T | Promise<T>): Promise<T>
  /** When who arrives now gives up. */
  deadline(): number
  /** One wait for all who want the same: `attempt` tells whether it is had, and is asked until then or until nobody waits any more. */
  share(attempt: () => boolean): { isOn(): boolean; join(untilMs: number): Promise<void> }
}

export function createLockWait(waitMs: number): LockWait {
  const deadline = () => performance.now() + waitMs
  return {
    deadline,
    async untilFree(work) {
      let untilMs: number | undefined
      for (let pauseMs = 1; ; pauseMs = nextPause(pauseMs)) {
        try {
          return await work()
        } catch (error) {
          if (!isBusy(error)) throw error
          untilMs ??= deadline()
          if (performance.now() > untilMs) throw lockedTooLong(error)
          await sleep(pauseMs)
        }
      }
    },
    share(attempt) {
      const waiters = new Set<Waiter>()
      return {
        isOn: () => waiters.size > 0,
        join: (untilMs) =>
          new Promise((resolve, reject) => {
            waiters.add({ untilMs, resolve, reject })
            if (waiters.size === 1) void waitForAll(waiters, attempt)
          }),
      }
    },
  }
}

/** Any of its kinds: a lock, a log that is being put in order after a crash, or a state that is no longer the newest. */
export function isBusy(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error)) return false
  return typeof error.code === 'string' && error.code.startsWith('SQLITE_BUSY')
}

async function waitForAll(waiters: Set<Waiter>, attempt: () => boolean): Promise<void> {
  const tell = (told: readonly Waiter[], how: (waiter: Waiter) => void) => {
    for (const waiter of told) waiters.delete(waiter)
    told.forEach(how)
  }
  for (let pauseMs = 1; waiters.size > 0; pauseMs = nextPause(pauseMs)) {
    await sleep(pauseMs)
    try {
      if (attempt()) return tell([...waiters], ({ resolve }) => resolve())
    } catch (error) {
      return tell([...waiters], ({ reject }) => reject(error))
    }
    const nowMs = performance.now()
    tell(
      [...waiters].filter(({ untilMs }) => untilMs < nowMs),
      ({ reject }) => reject(lockedTooLong()),
    )
  }
}

const nextPause = (pauseMs: number) => Math.min(2 * pauseMs, longestPauseMs)

function lockedTooLong(cause?: unknown): AppError {
  return new AppError('overloaded', { cause, detail: 'Another process has locked the database for too long.' })
}
