import type { Forecast } from './job-ticket.ts'

/** A job or renderer as placing sees it. */
export type PlacedJob = { readonly forecast: () => Forecast }

export type Placement<Renderer> = {
  readonly renderers: readonly Renderer[]
  readonly isWarm: (renderer: Renderer, picture: string) => boolean
  /** Predicted time until it would have done what it does now and all that waits for it. */
  readonly backlogMs: (renderer: Renderer) => number
  /** For how long it has been free while jobs waited. */
  readonly sparedMs: (renderer: Renderer) => number
}

/**
 * What another renderer would do with less work is moved only when each ms of work that is done twice spares so many of waiting: those
 * to come, and those that this renderer has already stood by for, so that it joins in when load lasts. At 1 the last of sixteen
 * variants came after 460 ms instead of 520, and all of them took 4 % more work.
 */
const movePayoff = 8

/**
 * What a waiting job would cost on this renderer, in ms; undefined when it is better off waiting for another one that has already
 * drawn it or decoded its original. Pure.
 */
export function costOn<Renderer>(
  job: PlacedJob,
  renderer: Renderer,
  placement: Placement<Renderer>,
): number | undefined {
  const cost = costHere(job, renderer, placement)
  return cost <= leastElsewhere(job, renderer, placement).costMs ? cost : undefined
}

/**
 * As `costOn`, for a renderer that finds nothing else to do: it takes a job from a warmer one when that is at work for so
 * much longer than the job takes here, or has been for so long, that it is worth the waste. Pure.
 */
export function costMovedTo<Renderer>(
  job: PlacedJob,
  renderer: Renderer,
  placement: Placement<Renderer>,
): number | undefined {
  const cost = costHere(job, renderer, placement)
  const elsewhere = leastElsewhere(job, renderer, placement)
  const wasteMs = cost - elsewhere.costMs
  if (wasteMs <= 0) return cost
  const busyMs = Math.min(...elsewhere.renderers.map((other) => placement.backlogMs(other)))
  return busyMs + placement.sparedMs(renderer) > cost + wasteMs * Math.max(movePayoff, wasteMs / elsewhere.costMs)
    ? cost
    : undefined
}

/** With what this renderer has kept, or from the original. Pure. */
export function costHere<Renderer>(
  job: PlacedJob,
  renderer: Renderer,
  { isWarm }: Pick<Placement<Renderer>, 'isWarm'>,
): number {
  return warmCostOn(job, renderer, isWarm) ?? job.forecast().coldMs
}

/** The renderers, beside this one, that would do it at the least cost with what they have kept. */
function leastElsewhere<Renderer>(
  job: PlacedJob,
  renderer: Renderer,
  { renderers, isWarm }: Placement<Renderer>,
): { readonly costMs: number; readonly renderers: readonly Renderer[] } {
  const others = renderers
    .filter((other) => other !== renderer)
    .map((other) => ({ other, costMs: warmCostOn(job, other, isWarm) ?? Infinity }))
  const costMs = Math.min(...others.map((each) => each.costMs))
  return { costMs, renderers: others.filter((each) => each.costMs === costMs).map((each) => each.other) }
}

/** Undefined on a renderer that has kept nothing of use. Pure. */
export function warmCostOn<Renderer>(
  job: PlacedJob,
  renderer: Renderer,
  isWarm: (renderer: Renderer, picture: string) => boolean,
): number | undefined {
  const { drawing, drawnMs, decode, decodedMs } = job.forecast()
  if (drawing !== undefined && isWarm(renderer, drawing)) return drawnMs
  return decode !== undefined && isWarm(renderer, decode) ? decodedMs : undefined
}
