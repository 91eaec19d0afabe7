import { clamp } from '../image/geometry.ts'
import type { OutputFormat } from '../image/formats.ts'
import { qualityWithoutQ } from '../params/canonicalize.ts'
import type { Params } from '../params/params.ts'

type Point = readonly [q: number, encoderQuality: number]

/**
 * imgix `q` to each encoder's own scale, linear between the points, so that one q looks alike in all formats.
 * AVIF: at equal luma SSIM a photo of 1200 px needs avif 50 where WebP needs 75 (0.949 both), and peers use 47 for 75 and
 * 63 for 80; effort 0 to 1 on the request path needs a little more.
 */
export const qualityTable = {
  jpeg: [
    [0, 1],
    [1, 1],
    [100, 100],
  ],
  webp: [
    [0, 1],
    [1, 1],
    [100, 100],
  ],
  avif: [
    [0, 1],
    [25, 18],
    [50, 36],
    [75, 55],
    [90, 72],
    [100, 90],
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
