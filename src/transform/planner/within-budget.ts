import type { RenderPlan } from './planned-work.ts'
import { workLimits } from './planned-work.ts'

/** What is given up, so that a rendering stays affordable. */
export type Concession = {
  /** Of all frames of the result together. */
  readonly maxPixels: number
  /** WebP without loss and PNG with a palette become ordinary ones, which take a fraction of the time. */
  readonly isPlainEncoding: boolean
}

const nothing: Concession = { maxPixels: Infinity, isPlainEncoding: false }
/** Sides are rounded and some work does not shrink with the result, so the first step may not be enough. */
const MAX_STEPS = 10

/** The plan as asked for if it is affordable, else with a simpler encoding, else scaled down as well. */
export function withinBudget(
  draft: (concession: Concession) => RenderPlan,
  workOf: (plan: RenderPlan) => number,
): RenderPlan {
  const asked = draft(nothing)
  if (workOf(asked) <= workLimits.maxWorkMs) return asked
  let plan = draft({ ...nothing, isPlainEncoding: true })
  let maxPixels = plan.width * plan.height * plan.input.frames
  for (let step = 0; step < MAX_STEPS && workOf(plan) > workLimits.maxWorkMs; step++) {
    maxPixels = Math.max(1, (maxPixels * 0.99 * workLimits.maxWorkMs) / workOf(plan))
    plan = draft({ maxPixels, isPlainEncoding: true })
  }
  return plan
}
