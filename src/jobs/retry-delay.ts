/**
 * Pause before the try after `attempt` (1 for the first): doubled each time up to the longest, of which a random half to whole, so that jobs that
 * failed together do not come back together. `random` is 0..1.
 */
export function retryDelayMs(
  attempt: number,
  { first, longest }: { readonly first: number; readonly longest: number },
  random: number,
): number {
  const delayMs = Math.min(longest, first * 2 ** (attempt - 1))
  return Math.round(delayMs * (0.5 + random / 2))
}
