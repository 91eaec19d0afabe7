/**
 * `fault`: of this job, it uses up a try. `outage`: of the moment, and not of the job. `stopped`: by the server, in the middle of the work.
 */
export type FailureKind = 'fault' | 'outage' | 'stopped'

export type RetryRules = {
  readonly maxAttempts: number
  /** How long a job is tried again that meets nothing but outages. */
  readonly retryForMs: number
  readonly retryMs: Pauses
}

type Pauses = { readonly first: number; readonly longest: number }

/** What follows a failed try; undefined when the job is given up. A try that does not count leaves all others to faults. */
export function nextTry(
  failed: { readonly kind: FailureKind; readonly attempt: number; readonly ageMs: number },
  { maxAttempts, retryForMs, retryMs }: RetryRules,
  random: number,
): { readonly delayMs: number; readonly counts: boolean } | undefined {
  const { kind, attempt, ageMs } = failed
  if (kind === 'stopped') return { delayMs: 0, counts: false }
  if (kind === 'fault') {
    return attempt >= maxAttempts ? undefined : { delayMs: retryDelayMs(attempt, retryMs, random), counts: true }
  }
  // A pause as long as the job is old doubles, too, and outages need no count of their own.
  return ageMs >= retryForMs
    ? undefined
    : { delayMs: jittered(Math.min(retryMs.longest, Math.max(retryMs.first, ageMs)), random), counts: false }
}

/** Pause before the try after `attempt` (1 for the first): doubled each time up to the longest. `random` is 0..1. */
export function retryDelayMs(attempt: number, { first, longest }: Pauses, random: number): number {
  return jittered(Math.min(longest, first * 2 ** (attempt - 1)), random)
}

/** A random half to whole of it, so that jobs that failed together do not come back together. */
function jittered(delayMs: number, random: number): number {
  return Math.round(delayMs * (0.5 + random / 2))
}
