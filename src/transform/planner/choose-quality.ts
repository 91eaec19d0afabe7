import { clamp } from '../image/geometry.ts'
import type { OutputFormat } from '../image/formats.ts'
import { qualityWithoutQ } from '../params/canonicalize.ts'
import type { Params } from '../params/params.ts'

type Point = readonly [q: number, encoderQuality: number]

/**
 * imgix `q` to each encoder's own scale, linear between the points: the qualities whose mean luma SSIM over twelve lossless
 * photographs equals that of plain JPEG at `q` (docs/quality.md, written by scripts/measure-quality.ts).
 */
export const qualityTable = {
  jpeg: [
    [0, 1],
    [1, 1],
    [100, 100],
  ],
  webp: [
    [0, 1],
    [20, 17],
    [30, 29],
    [45, 43],
    [60, 57],
    [75, 76],
    [90, 88],
    [95, 94],
    [100, 100],
  ],
  avif: [
    [0, 1],
    [20, 35],
    [30, 43],
    [45, 49],
    [60, 53],
    [75, 60],
    [82, 65],
    [90, 77],
    [95, 87],
    [100, 95],
  ],
} as const satisfies Partial<Record<OutputFormat, readonly Point[]>>

export type LossyFormat = keyof typeof qualityTable

/** The encoder's own quality for these params: `q`, else 75, or 45 under auto=compress. */
export function chooseQuality(format: LossyFormat, params: Params): number {
  return mapQuality(format, params.q ?? qualityWithoutQ(params))
}

/** Encoder quality 1..100 that shows what imgix's `q` 0..100 means. */
export function mapQuality(format: LossyFormat, q: number): number {
  const points: readonly Point[] = qualityTable[format]
  const next = points.findIndex(([at]) => at >= q)
  const [upperQ, upper] = points[next] ?? [100, 100]
  const [lowerQ, lower] = points[next - 1] ?? [upperQ, upper]
  const share = upperQ === lowerQ ? 0 : (q - lowerQ) / (upperQ - lowerQ)
  return clamp(Math.round(lower + share * (upper - lower)), 1, 100)
}
