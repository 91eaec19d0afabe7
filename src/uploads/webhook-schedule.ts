const seconds = 1000
const minutes = 60 * seconds
const hours = 60 * minutes

/** Pauses between attempts, as Standard Webhooks 1.0 suggests them: ten attempts within three days. */
export const retryPausesMs: readonly number[] = [
  ...[5 * seconds, 5 * minutes, 30 * minutes],
  ...[2, 5, 10, 14, 20, 24].map((count) => count * hours),
]

// Receivers that were down get their messages back spread out.
const jitter = 0.1
const longestWishMs = 24 * hours

/**
 * Pause after `attempt` (1 for the first) failed; undefined when it was the last. `wishedMs` is what the receiver asked for
 * (Retry-After) and lengthens it; `random` is 0..1.
 */
export function retryPauseMs(attempt: number, wishedMs: number, random: number): number | undefined {
  const pauseMs = retryPausesMs[attempt - 1]
  if (pauseMs === undefined) return undefined
  return Math.round(Math.max(pauseMs, Math.min(wishedMs, longestWishMs)) * (1 + jitter * random))
}
