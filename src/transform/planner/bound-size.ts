import { isSameSize } from '../image/geometry.ts'
import type { Size } from '../image/geometry.ts'
import type { PlanRequest } from './plan-request.ts'
import { workLimits } from './planned-work.ts'
import { resolveSize } from './resolve-size.ts'
import type { Layout } from './resolve-size.ts'
import type { Concession } from './within-budget.ts'

type Bound = { readonly pixels: number; readonly reason: string }

/** The layout within all bounds, and which of them has made it smaller than asked for; bounds count all frames. */
export function boundSize(
  { params, metadata, limits }: PlanRequest,
  source: Size,
  { frames, concession }: { readonly frames: number; readonly concession: Concession },
): { readonly layout: Layout; readonly reason: string | undefined } {
  const { maxEnlargedPixels, maxAnimatedPixels } = workLimits
  const bounds: Bound[] = [{ pixels: concession.maxPixels, reason: 'more would take too long to draw and to write' }]
  // A vector picture gains detail when it is enlarged.
  if (metadata.format !== 'svg') {
    const pixels = Math.max(maxEnlargedPixels, source.width * source.height * frames)
    bounds.push({ pixels, reason: `enlarging ends at ${megapixels(pixels)}` })
  }
  if (frames > 1) {
    bounds.push({
      pixels: maxAnimatedPixels,
      reason: `all frames together have at most ${megapixels(maxAnimatedPixels)}`,
    })
  }
  const tightest = bounds.reduce((least, bound) => (bound.pixels < least.pixels ? bound : least))
  const layoutFor = (pixels: number): Layout =>
    resolveSize(source, params, { maxSide: limits.maxOutputSide, maxPixels: pixels / frames })
  const layout = layoutFor(Math.min(limits.maxPixels, tightest.pixels))
  const wanted = layoutFor(limits.maxPixels).size
  const reason = `Smaller than ${String(wanted.width)}x${String(wanted.height)}: ${tightest.reason}.`
  return { layout, reason: isSameSize(wanted, layout.size) ? undefined : reason }
}

function megapixels(pixels: number): string {
  return `${String(Math.round(pixels / 1e5) / 10)} megapixels`
}
