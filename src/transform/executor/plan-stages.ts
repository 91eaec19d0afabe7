import type { TransformPlan } from '../planner/transform-plan.ts'
import type { Stage, StagePlan } from './apply-operation.ts'
import { applyOperation } from './apply-operation.ts'
import type { Size } from './turn.ts'

export type StageStep = { readonly stage: Stage; readonly size: Size }

/** The stages of a plan on an original of this size, each with the size it leads to. Pure. */
export function stageSteps(plan: Extract<TransformPlan, { kind: 'render' }>, original: Size): StageStep[] {
  let stagePlan: StagePlan = { stages: [], size: original }
  const sizes = new Map<number, Size>()
  for (const operation of plan.operations) {
    stagePlan = applyOperation(operation, stagePlan)
    sizes.set(stagePlan.stages.length - 1, stagePlan.size)
  }
  return stagePlan.stages.map((stage, index) => ({ stage, size: sizes.get(index) ?? original }))
}
