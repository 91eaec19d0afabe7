export type RetryPolicy = {
  /** Further tries after the first. */
  readonly retries: number
  /** Before the second try; doubled each time. */
  readonly retryDelayMs: number
}

/** What one try came to: an answer, or something that may be otherwise the next time. */
export type Attempt<T> =
  { readonly done: T } | { readonly failed: Error; readonly retryAfterSeconds?: number | undefined }

// However long a server asks for: people watch a progress bar meanwhile.
const longestPauseMs = 60_000

/** Tries until it is done; throws the last failure, and the signal's reason as soon as it aborts. */
export async function withRetries<T>(
  attempt: () => Promise<Attempt<T>>,
  { retries, retryDelayMs }: RetryPolicy,
  signal: AbortSignal,
): Promise<T> {
  for (let tried = 0; ; tried += 1) {
    signal.throwIfAborted()
    const outcome = await attempt()
    if ('done' in outcome) return outcome.done
    signal.throwIfAborted()
    if (tried >= retries) throw outcome.failed
    // Half of it by chance, so that clients that failed together do not come back together.
    const backoffMs = retryDelayMs * 2 ** tried * (0.5 + Math.random() / 2)
    await pause(Math.min(longestPauseMs, Math.max(backoffMs, (outcome.retryAfterSeconds ?? 0) * 1000)), signal)
  }
}

/** Rejects with the signal's reason. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = () => {
      clearTimeout(timer)
      reject(signal.reason as Error)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', leave)
      resolve()
    }, ms)
    if (signal.aborted) leave()
    else signal.addEventListener('abort', leave, { once: true })
  })
}

/** Seconds of a Retry-After header; of a date, nothing. */
export function secondsOf(retryAfter: string | null): number | undefined {
  return retryAfter !== null && /^\d+$/.test(retryAfter) ? Number(retryAfter) : undefined
}

/** Answers that say nothing about the next try. */
export function isPassing(status: number): boolean {
  return status === 0 || status === 408 || status === 429 || status >= 500
}
