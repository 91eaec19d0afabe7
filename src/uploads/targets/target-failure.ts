import { AppError } from '../../errors.ts'

/** What the signal was aborted with: a deadline is the target's failure, whoever leaves otherwise knows why. */
export function abortReason(signal: AbortSignal): Error {
  const reason: unknown = signal.reason
  if (reason instanceof DOMException && reason.name === 'TimeoutError') {
    return new AppError('target_timeout', { cause: reason })
  }
  return reason instanceof Error ? reason : new AppError('target_failed', { cause: reason })
}

/** Everything that is no AppError yet becomes `target_failed`, with what the store said for the log. */
export function targetFailure(error: unknown, signal?: AbortSignal): Error {
  if (signal?.aborted === true) return abortReason(signal)
  if (error instanceof AppError) return error
  const reason = errorCodeOf(error) ?? (error instanceof Error ? error.name : 'unknown')
  return new AppError('target_failed', { cause: error, details: { reason } })
}

/** For the log: what failed, and what the store or the SDK said of it. */
export function withCause(error: unknown): { readonly error: string; readonly cause?: string } {
  const cause = error instanceof Error ? error.cause : undefined
  return { error: String(error), ...(cause instanceof Error ? { cause: cause.message } : {}) }
}

export function errorCodeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** The work, or its abandonment when the signal aborts first: a system call on a dead mount cannot be cancelled. */
export function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abandon = () => reject(abortReason(signal))
    if (signal.aborted) abandon()
    else signal.addEventListener('abort', abandon, { once: true })
    // The listener goes with each piece of work: a race against one long promise would keep every chunk alive.
    const settled = () => signal.removeEventListener('abort', abandon)
    work.then(
      (value) => {
        settled()
        resolve(value)
      },
      (error: unknown) => {
        settled()
        reject(error instanceof Error ? error : new Error('failed', { cause: error }))
      },
    )
  })
}

/** The chunks, until the signal aborts: then it throws the reason, even while the next chunk is still awaited. */
export async function* chunksUntilAborted(
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  const iterator = chunks[Symbol.asyncIterator]()
  let isDone = false
  try {
    for (;;) {
      const next = await untilAborted(iterator.next(), signal)
      if (next.done === true) {
        isDone = true
        return
      }
      yield next.value
    }
  } finally {
    // Not awaited: a generator that hangs in its next chunk would hang in its return, too.
    if (!isDone) void iterator.return?.()?.then(undefined, () => undefined)
  }
}
