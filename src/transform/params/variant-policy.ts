import type { VariantPolicy } from '../../config/config.ts'
import { AppError } from '../../errors.ts'
import { clamp, roundHalfUp } from '../image/geometry.ts'
import type { Params } from './params.ts'
import type { ParsedParams } from './parse-params.ts'
import { registry } from './registry.ts'
import { MAX_SIDE } from './value-types.ts'
import type { Length } from './value-types.ts'

type Ladder = readonly number[]

/** Densities and shares that are left under `snap` where they cannot be folded into px. */
const dprSteps: Ladder = [0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 5]
const shareSteps: Ladder = [0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 1]

/**
 * Holds the params of an unsigned URL to the variants that its source allows.
 * exact: as asked. presets-only: throws AppError `preset_required` when the URL names anything that changes pixels, or a
 * preset that is not there. snap: see `snapParams`.
 */
export function applyVariantPolicy(parsed: Pick<ParsedParams, 'params' | 'named'>, policy: VariantPolicy): Params {
  switch (policy.kind) {
    case 'exact':
      return parsed.params
    case 'snap':
      return snapParams(parsed.params, policy)
    case 'presets-only':
      return requirePreset(parsed)
  }
}

function requirePreset({ params, named }: Pick<ParsedParams, 'params' | 'named'>): Params {
  const other = named.find((name) => registry[name].effect === 'pixels')
  if (other !== undefined) {
    throw new AppError('preset_required', {
      detail: `${other}: only preset= is accepted here`,
      details: { param: other },
    })
  }
  if (named.includes('preset') && params.preset === undefined) {
    throw new AppError('preset_required', { detail: 'preset: no such preset', details: { param: 'preset' } })
  }
  return params
}

/**
 * Moves sizes and quality to the ladders: the smallest step that is enough, else the largest. dpr is folded into w and h,
 * so that `w=320&dpr=2` and `w=640` are one variant; w leads, and h follows in proportion, as do limits in px, so the
 * aspect stays. Where only shares or no size are given, dpr and shares have steps of their own.
 */
export function snapParams(params: Params, ladders: { readonly widths: Ladder; readonly qualities: Ladder }): Params {
  const sized = isFoldable(params) ? foldSizes(params, ladders.widths) : snapShares(params, ladders.widths)
  return sized.q === undefined ? sized : { ...sized, q: nextStep(ladders.qualities, sized.q) }
}

function nextStep(ladder: Ladder, wanted: number): number {
  const steps = ladder.toSorted((a, b) => a - b)
  return steps.find((step) => step >= wanted) ?? steps.at(-1) ?? wanted
}

function isFoldable({ w, h }: Params): boolean {
  return (w ?? h) !== undefined && w?.unit !== 'share' && h?.unit !== 'share'
}

function foldSizes(params: Params, widths: Ladder): Params {
  const { dpr, ...rest } = params
  const leading = (params.w ?? params.h)?.value ?? 1
  // Steps below 2 px cannot be told from shares, and larger ones than the cap are cut anyway.
  const target = clamp(nextStep(widths, roundHalfUp(leading * (dpr ?? 1))), 2, MAX_SIDE)
  const scale = (value: number, least: number): number =>
    clamp(roundHalfUp((value * target) / leading), least, MAX_SIDE)
  const side = (length: Length): Length => ({ unit: 'px', value: scale(length.value, 2) })
  return {
    ...rest,
    ...(params.w && { w: side(params.w) }),
    ...(params.h && { h: side(params.h) }),
    ...scaleLimits(params, (value) => scale(value, 1)),
  }
}

function scaleLimits(params: Params, scale: (value: number) => number): Params {
  const limits = ['max-w', 'max-h', 'min-w', 'min-h'] as const
  const scaled = limits.flatMap((name) => {
    const value = params[name]
    return value === undefined ? [] : [[name, scale(value)] as const]
  })
  return Object.fromEntries(scaled)
}

function snapShares(params: Params, widths: Ladder): Params {
  const side = (length: Length): Length =>
    length.unit === 'share'
      ? { unit: 'share', value: nextStep(shareSteps, length.value) }
      : { unit: 'px', value: clamp(nextStep(widths, length.value), 2, MAX_SIDE) }
  return {
    ...params,
    ...(params.w && { w: side(params.w) }),
    ...(params.h && { h: side(params.h) }),
    ...(params.dpr !== undefined && { dpr: nextStep(dprSteps, params.dpr) }),
  }
}
