/** A signal that aborts when `signal` does or after `timeoutMs`, whichever is first. */
export function withDeadline(signal: AbortSignal, timeoutMs: number): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
}
