import type { Ratio } from './value-types.ts'

/** Every ratio that people name (16:9, 3:2, 4:5, 7:3) has terms up to this; neighbours are at most 6 % apart. */
const MAX_TERM = 16
/** Beyond 16:1, for rules and banners. */
const longTerms = [20, 24, 32, 48, 64, 100, 200, 500, 1000, 4096]

/** The aspects that `snap` knows, all reduced: 179 of them. */
export const aspectSteps: readonly Ratio[] = [
  ...Array.from({ length: MAX_TERM ** 2 }, (_, index) => ({
    width: Math.floor(index / MAX_TERM) + 1,
    height: (index % MAX_TERM) + 1,
  })).filter(({ width, height }) => isReduced(width, height)),
  ...longTerms.flatMap((term) => [
    { width: term, height: 1 },
    { width: 1, height: term },
  ]),
]

function isReduced(a: number, b: number): boolean {
  return b === 0 ? a === 1 : isReduced(b, a % b)
}

/** The step nearest to `height / width`, among those that `isAllowed`. */
export function nearestAspect(
  { width, height }: Ratio,
  isAllowed: (aspect: Ratio) => boolean = () => true,
): Ratio | undefined {
  const distance = (aspect: Ratio): number => Math.abs(aspect.height / aspect.width - height / width)
  return aspectSteps
    .filter(isAllowed)
    .reduce<Ratio | undefined>((best, step) => (best && distance(best) <= distance(step) ? best : step), undefined)
}
