import { roundSide } from '../image/geometry.ts'
import type { Params } from './params.ts'
import { MAX_SIDE } from './value-types.ts'
import type { Length } from './value-types.ts'

/** Steps below 2 px would be read as shares. */
const MIN_PX = 2

const limitNames = ['max-w', 'max-h', 'min-w', 'min-h'] as const

/**
 * The same picture without dpr: `w=320&dpr=2` is `w=640`, and so is every dpr that rounds to it. dpr stays where a share of
 * the source or no size is given, and where px would leave their range; there it is the canonical spelling.
 */
export function foldDensity(params: Params): Params {
  const { dpr, ...rest } = params
  if (dpr === undefined) return params
  const scaled = (value: number): number => roundSide(value * dpr)
  const sides = [rest.w, rest.h].filter((length) => length !== undefined)
  // Without a size dpr shrinks the picture, but does not enlarge it.
  if (sides.length === 0 && dpr < 1) return params
  if (sides.some(({ unit, value }) => unit === 'share' || !isPx(scaled(value)))) return params

  const limits = limitNames.filter((name) => rest[name] !== undefined && isInForce(name, rest))
  const foldedLimits = limits.map((name) => [name, scaled(rest[name] ?? 1)] as const)
  if (foldedLimits.some(([, value]) => value > MAX_SIDE)) return params
  const side = ({ value }: Length): Length => ({ unit: 'px', value: scaled(value) })
  return {
    ...rest,
    ...(rest.w && { w: side(rest.w) }),
    ...(rest.h && { h: side(rest.h) }),
    ...Object.fromEntries(foldedLimits),
  }
}

/** A limit holds for a side that is not given. */
function isInForce(name: (typeof limitNames)[number], { fit, w, h }: Params): boolean {
  return fit === 'crop' && (name.endsWith('w') ? w : h) === undefined
}

function isPx(value: number): boolean {
  return value >= MIN_PX && value <= MAX_SIDE
}
