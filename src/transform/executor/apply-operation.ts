import type { Color } from '../image/color.ts'
import type { ExtendFill, Operation } from '../image/operation.ts'
import type { Rect, Size, Turn } from './turn.ts'
import { flippedRect, flipTurn, noTurn, swapsAxes, turnedSize, unturnedRect, uprightTurns } from './turn.ts'

/**
 * Work that sharp does in one pipeline, in sharp's own fixed order: extract (stored axes), resize (stored axes),
 * mirror and turn, extract, extend; flatten commutes with all of these.
 */
export type GeometryStage = {
  readonly kind: 'geometry'
  readonly before: Rect | undefined
  readonly resize: Size | undefined
  readonly turn: Turn
  readonly after: Rect | undefined
  readonly extend: PlainExtend | undefined
  readonly flatten: Color | undefined
}

export type Stage = GeometryStage | CropStage | BlurFillStage | EnhanceStage
export type CropStage = { readonly kind: 'crop'; readonly size: Size; readonly strategy: 'entropy' | 'attention' }
export type BlurFillStage = { readonly kind: 'blurFill'; readonly canvas: Rect }
export type EnhanceStage = { readonly kind: 'enhance' }

export type PlainExtend = Omit<OperationOf<'extend'>, 'fill'> & { readonly fill: Exclude<ExtendFill, { kind: 'blur' }> }

type OperationOf<Op extends Operation['op']> = Extract<Operation, { op: Op }>

/** The stages so far, the last one still open, and the size (of one frame) they lead to. */
export type StagePlan = { readonly stages: readonly Stage[]; readonly size: Size }

type Apply<Op extends Operation['op']> = (operation: OperationOf<Op>, plan: StagePlan) => StagePlan

/** One entry per operation: how it joins the stages. */
const applications: { readonly [Op in Operation['op']]: Apply<Op> } = {
  orient: (operation, plan) => {
    const turn = uprightTurns[operation.orientation]
    return append(plan, { ...emptyGeometry, turn }, turnedSize(plan.size, turn))
  },
  extract: applyExtract,
  resize: (operation, plan) => {
    const size = { width: operation.width, height: operation.height }
    const open = openGeometry(plan)
    const taken = open.resize !== undefined || open.after !== undefined || open.extend !== undefined
    if (taken) return append(plan, { ...emptyGeometry, resize: size }, size)
    return replaceOpen(
      plan,
      { ...open, resize: swapsAxes(open.turn) ? { width: size.height, height: size.width } : size },
      size,
    )
  },
  crop: (operation, plan) => {
    const size = { width: operation.width, height: operation.height }
    return append(plan, { kind: 'crop', size, strategy: operation.strategy }, size)
  },
  extend: applyExtend,
  flip: (operation, plan) => {
    const open = openGeometry(plan)
    if (open.extend !== undefined)
      return append(plan, { ...emptyGeometry, turn: flipTurn(noTurn, operation) }, plan.size)
    const after = open.after && flippedRect(open.after, canvasOf(open, plan), operation)
    return replaceOpen(plan, { ...open, turn: flipTurn(open.turn, operation), after }, plan.size)
  },
  flatten: (operation, plan) => {
    const open = openGeometry(plan)
    if (open.flatten !== undefined) return plan
    const extend = open.extend && flattenFill(open.extend, operation.color)
    return replaceOpen(plan, { ...open, flatten: operation.color, extend }, plan.size)
  },
  enhance: (_operation, plan) => append(plan, { kind: 'enhance' }, plan.size),
}

/** Adds one operation to the stages, folding it into the open stage wherever the result is the same. Pure. */
export function applyOperation(operation: Operation, plan: StagePlan): StagePlan {
  const apply = applications[operation.op] as (operation: Operation, plan: StagePlan) => StagePlan
  return apply(operation, plan)
}

function applyExtract(operation: OperationOf<'extract'>, plan: StagePlan): StagePlan {
  const { left, top, width, height } = operation
  const rect = { left, top, width, height }
  const open = openGeometry(plan)
  if (open.extend !== undefined) return append(plan, { ...emptyGeometry, before: rect }, rect)
  if (open.resize !== undefined) return replaceOpen(plan, { ...open, after: shifted(rect, open.after) }, rect)
  const before = shifted(unturnedRect(rect, open.turn, plan.size), open.before)
  return replaceOpen(plan, { ...open, before }, rect)
}

function applyExtend(operation: OperationOf<'extend'>, plan: StagePlan): StagePlan {
  const width = plan.size.width + operation.left + operation.right
  const height = plan.size.height + operation.top + operation.bottom
  const size = { width, height }
  const { fill } = operation
  if (fill.kind === 'blur') {
    const canvas = { width, height, left: operation.left, top: operation.top }
    return append(plan, { kind: 'blurFill', canvas }, size)
  }
  const extend = { ...operation, fill }
  const open = openGeometry(plan)
  if (open.extend !== undefined) return append(plan, { ...emptyGeometry, extend }, size)
  return replaceOpen(plan, { ...open, extend }, size)
}

/** A geometry stage that does nothing. */
export const emptyGeometry: GeometryStage = {
  kind: 'geometry',
  before: undefined,
  resize: undefined,
  turn: noTurn,
  after: undefined,
  extend: undefined,
  flatten: undefined,
}

/** The geometry stage that is still open at the end, or a fresh one. */
function openGeometry(plan: StagePlan): GeometryStage {
  const last = plan.stages.at(-1)
  return last?.kind === 'geometry' ? last : emptyGeometry
}

function replaceOpen(plan: StagePlan, stage: GeometryStage, size: Size): StagePlan {
  const closed = plan.stages.at(-1)?.kind === 'geometry' ? plan.stages.slice(0, -1) : plan.stages
  return { stages: [...closed, stage], size: { width: size.width, height: size.height } }
}

function append(plan: StagePlan, stage: Stage, size: Size): StagePlan {
  return { stages: [...plan.stages, stage], size: { width: size.width, height: size.height } }
}

/** Size of the picture that `after` is cut from. */
function canvasOf(open: GeometryStage, plan: StagePlan): Size {
  return open.resize ? turnedSize(open.resize, open.turn) : plan.size
}

function shifted(rect: Rect, outer: Rect | undefined): Rect {
  return outer ? { ...rect, left: rect.left + outer.left, top: rect.top + outer.top } : rect
}

/** A translucent fill that is flattened afterwards is the flattened colour from the start. */
function flattenFill(extend: PlainExtend, under: Color): PlainExtend {
  if (extend.fill.kind !== 'color') return extend
  const over = extend.fill.color
  const mix = (channel: 'r' | 'g' | 'b') => Math.round(over[channel] * over.alpha + under[channel] * (1 - over.alpha))
  return { ...extend, fill: { kind: 'color', color: { r: mix('r'), g: mix('g'), b: mix('b'), alpha: 1 } } }
}
