import { AppError } from '../errors.ts'

/**
 * The promise, or its abandonment when the signal aborts first. Work that cannot be cancelled (a system call on a
 * dead network mount) goes on; `onLate` gets what it brings in the end, to give handles back.
 */
export function untilAborted<T>(
  work: Promise<T>,
  signal: AbortSignal,
  onLate: (late: T) => void = () => {},
): Promise<T> {
  return new Promise((resolve, reject) => {
    let isAbandoned = false
    const abandon = (): void => {
      isAbandoned = true
      reject(abortError(signal))
    }
    if (signal.aborted) abandon()
    else signal.addEventListener('abort', abandon, { once: true })
    work
      .then((value) => (isAbandoned ? onLate(value) : resolve(value)), reject)
      .finally(() => signal.removeEventListener('abort', abandon))
      // The caller has the outer promise; nothing may be left to float.
      .catch(() => undefined)
  })
}

/** A deadline is the source's failure; whoever aborts otherwise knows why, and gets the own reason back. */
export function abortError(signal: AbortSignal): Error {
  const reason: unknown = signal.reason
  if (reason instanceof DOMException && reason.name === 'TimeoutError')
    return new AppError('source_timeout', { cause: reason })
  return reason instanceof Error ? reason : new AppError('source_failed', { cause: reason })
}
