/**
 * Waits for `work` at most `timeoutMs`. Rejects with the caller's own reason when it leaves, with a `TimeoutError` when time is up.
 * The work may still be under way then; it is told through the signal it was given.
 */
export function withinDeadline<T>(
  timeoutMs: number,
  caller: AbortSignal | undefined,
  work: (signal: AbortSignal, restart: Restart) => Promise<T>,
): Promise<T> {
  if (caller?.aborted) return Promise.reject(caller.reason as Error)
  const controller = new AbortController()
  return new Promise<T>((resolve, reject) => {
    const giveUp = (reason: Error) => {
      stopWaiting()
      controller.abort(reason)
      reject(reason)
    }
    const onCallerLeft = () => giveUp(caller?.reason as Error)
    const start = (ms: number) => setTimeout(() => giveUp(timeoutError(ms)), ms)
    let timer = start(timeoutMs)
    const stopWaiting = () => {
      clearTimeout(timer)
      caller?.removeEventListener('abort', onCallerLeft)
    }
    caller?.addEventListener('abort', onCallerLeft, { once: true })
    const restart = (ms: number) => {
      clearTimeout(timer)
      timer = start(ms)
    }
    work(controller.signal, restart).then(resolve, reject).finally(stopWaiting)
  })
}

/** As `withinDeadline`, for work that cannot be told to stop: costs a timer and nothing else. */
export function settledWithin<T>(timeoutMs: number, work: (restart: Restart) => Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const start = (ms: number) => setTimeout(() => reject(timeoutError(ms)), ms)
    let timer = start(timeoutMs)
    const stopWaiting = () => clearTimeout(timer)
    const settling = work((ms) => {
      stopWaiting()
      timer = start(ms)
    })
    settling.then(stopWaiting, stopWaiting)
    settling.then(resolve, reject)
  })
}

/** Gives work so much time from now on. */
export type Restart = (timeoutMs: number) => void

const timeoutError = (timeoutMs: number) => new DOMException(`no answer within ${timeoutMs} ms`, 'TimeoutError')
