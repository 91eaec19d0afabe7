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
    const timer = setTimeout(
      () => giveUp(new DOMException(`no answer within ${timeoutMs} ms`, 'TimeoutError')),
      timeoutMs,
    )
    const stopWaiting = () => {
      clearTimeout(timer)
      caller?.removeEventListener('abort', onCallerLeft)
    }
    caller?.addEventListener('abort', onCallerLeft, { once: true })
    work(controller.signal).then(resolve, reject).finally(stopWaiting)
  })
}
