/**
 * Waits for `work` at most `timeoutMs`. Rejects with the caller's own reason when it leaves, with a `TimeoutError` when time is up.
 * The work may still be under way then; it is told through the signal it was given.
 */
export function withinDeadline<T>(
  timeoutMs: number,
  caller: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
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
    const timer = setTimeout(() => giveUp(timeoutError(timeoutMs)), timeoutMs)
    const stopWaiting = () => {
      clearTimeout(timer)
      caller?.removeEventListener('abort', onCallerLeft)
    }
    caller?.addEventListener('abort', onCallerLeft, { once: true })
    work(controller.signal).then(resolve, reject).finally(stopWaiting)
  })
}

/** As `withinDeadline`, for work that is under way and cannot be told to stop: costs a timer and nothing else. */
export function settledWithin<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => reject(timeoutError(timeoutMs)), timeoutMs)
    const stopWaiting = () => clearTimeout(timer)
    work.then(stopWaiting, stopWaiting)
    work.then(resolve, reject)
  })
}

const timeoutError = (timeoutMs: number) => new DOMException(`no answer within ${timeoutMs} ms`, 'TimeoutError')
