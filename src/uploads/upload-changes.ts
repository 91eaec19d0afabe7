/** Tells those who wait for an upload, in this process, that something became of it. */
export interface UploadChanges {
  announce(uploadId: string): void
  /** Resolves at the next announcement, after `timeoutMs`, or when the signal fires. */
  next(uploadId: string, timeoutMs: number, signal: AbortSignal): Promise<void>
}

export function createUploadChanges(): UploadChanges {
  const waiting = new Map<string, Set<() => void>>()
  return {
    announce(uploadId) {
      for (const wake of [...(waiting.get(uploadId) ?? [])]) wake()
    },
    next(uploadId, timeoutMs, signal) {
      if (signal.aborted) return Promise.resolve()
      return new Promise((resolve) => {
        const wakes = waiting.get(uploadId) ?? new Set()
        waiting.set(uploadId, wakes)
        const wake = () => {
          clearTimeout(timer)
          signal.removeEventListener('abort', wake)
          wakes.delete(wake)
          if (wakes.size === 0 && waiting.get(uploadId) === wakes) waiting.delete(uploadId)
          resolve()
        }
        const timer = setTimeout(wake, timeoutMs)
        signal.addEventListener('abort', wake, { once: true })
        wakes.add(wake)
      })
    },
  }
}
