import type { Forecast } from './job-ticket.ts'

/** A job or renderer as placing sees it. */
export type PlacedJob = { readonly forecast: () => Forecast }

export type Placement<Renderer> = {
  readonly renderers: readonly Renderer[]
  readonly isWarm: (renderer: Renderer, picture: string) => boolean
  /** Predicted time until it would have done what it does now and all that waits for it. */
  readonly backlogMs: (renderer: Renderer) => number
}

/**
 * What a waiting job would cost on this renderer, in ms; undefined when it is better off waiting for another one that has already
 * decoded its original. Pure.
 */
export function costOn<Renderer>(
  job: PlacedJob,
  renderer: Renderer,
  { renderers, isWarm }: Placement<Renderer>,
): number | undefined {
  const warmCost = warmCostOn(job, renderer, isWarm)
  if (warmCost !== undefined) return warmCost
  const isWarmElsewhere = renderers.some((other) => warmCostOn(job, other, isWarm) !== undefined)
  return isWarmElsewhere ? undefined : job.forecast().coldMs
}

/**
 * As `costOn`, for a renderer that finds nothing else to do: it takes a job from a warm one when that is at work for longer than
 * decoding here takes and the waste is worth the work that is moved. Pure.
 */
export function costMovedTo<Renderer>(
  job: PlacedJob,
  renderer: Renderer,
  placement: Placement<Renderer>,
): number | undefined {
  const cost = costOn(job, renderer, placement)
  if (cost !== undefined) return cost
  const { coldMs } = job.forecast()
  const warm = placement.renderers.filter((other) => warmCostOn(job, other, placement.isWarm) !== undefined)
  const workMs = Math.min(...warm.map((other) => warmCostOn(job, other, placement.isWarm) ?? coldMs))
  const wasteMs = coldMs - workMs
  const busyMs = Math.min(...warm.map((other) => placement.backlogMs(other)))
  return busyMs > coldMs + wasteMs * Math.max(1, wasteMs / workMs) ? coldMs : undefined
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
