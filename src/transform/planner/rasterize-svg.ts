import { clamp, roundHalfUp, roundSize, scaleSize } from '../image/geometry.ts'
import type { Size, Window } from '../image/geometry.ts'
import type { Operation } from '../image/operation.ts'
import type { OutputBounds } from './resolve-size.ts'

export type Rasterization = {
  /** Multiple of the intrinsic size at which the SVG is drawn. */
  readonly scale: number
  /** Size drawn, upright. */
  readonly raster: Size
  readonly operations: readonly Operation[]
}

/**
 * Moves the enlarging of a vector picture from the resize into the drawing, so that it stays sharp. `operations` were
 * planned for the intrinsic size; the windows in front of the resize move to the size that is drawn.
 */
export function rasterizeSvg(intrinsic: Size, operations: readonly Operation[], bounds: OutputBounds): Rasterization {
  const turns = operations.filter(({ op }) => op === 'orient')
  const cuts = leadingCuts(operations)
  const rest = operations.slice(turns.length + cuts.length)
  const cut = cuts.at(-1) ?? intrinsic
  const resized = rest[0]?.op === 'resize' ? rest[0] : undefined
  const target = resized ?? cut

  const wanted = Math.max(target.width / cut.width, target.height / cut.height)
  const scale = Math.min(wanted, largestScale(intrinsic, bounds))
  if (scale === 1) return { scale, raster: intrinsic, operations }

  const raster = roundSize(scaleSize(intrinsic, scale))
  // Renderers may round the drawn size differently; an exact size in front of a window keeps it inside.
  const exact: readonly Operation[] = cuts.length > 0 ? [{ op: 'resize', ...raster }] : []
  const final: Operation = { op: 'resize', width: target.width, height: target.height }
  return {
    scale,
    raster,
    operations: [...turns, ...exact, ...scaleCuts(cuts, scale, raster), final, ...(resized ? rest.slice(1) : rest)],
  }
}

/** A little below the pixel limit, so that rounding the sides cannot cross it. */
function largestScale({ width, height }: Size, { maxSide, maxPixels }: OutputBounds): number {
  return Math.min(maxSide / width, maxSide / height, 0.999 * Math.sqrt(maxPixels / (width * height)))
}

function leadingCuts(operations: readonly Operation[]): readonly Window[] {
  const cuts: Window[] = []
  for (const operation of operations) {
    if (operation.op === 'orient') continue
    if (operation.op !== 'extract') break
    cuts.push(operation)
  }
  return cuts
}

function scaleCuts(cuts: readonly Window[], scale: number, raster: Size): readonly Operation[] {
  let bounds = raster
  return cuts.map((cut) => {
    const left = clamp(roundHalfUp(cut.left * scale), 0, bounds.width - 1)
    const top = clamp(roundHalfUp(cut.top * scale), 0, bounds.height - 1)
    bounds = {
      width: clamp(roundHalfUp(cut.width * scale), 1, bounds.width - left),
      height: clamp(roundHalfUp(cut.height * scale), 1, bounds.height - top),
    }
    return { op: 'extract', left, top, ...bounds }
  })
}
