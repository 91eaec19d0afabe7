import { AppError } from '../../errors.ts'
import type { Size } from '../image/geometry.ts'
import type { PlanLimits } from './transform-plan.ts'

/**
 * Refuses what would cost too much to decode, from the header alone. `decoded` is the size of one frame as it is decoded
 * (an SVG: as it is drawn). Throws AppError `too_many_frames` or `too_many_pixels`.
 */
export function enforceLimits(
  decoded: Size,
  frames: number,
  limits: Pick<PlanLimits, 'maxPixels' | 'maxFrames'>,
): void {
  if (frames > limits.maxFrames) {
    throw new AppError('too_many_frames', {
      detail: `The original has ${String(frames)} frames; at most ${String(limits.maxFrames)} are accepted.`,
      details: { limit: limits.maxFrames, got: frames },
    })
  }
  const pixels = decoded.width * decoded.height * frames
  if (pixels > limits.maxPixels) {
    throw new AppError('too_many_pixels', {
      detail: `The original has ${String(pixels)} pixels in all frames; at most ${String(limits.maxPixels)} are accepted.`,
      details: { limit: limits.maxPixels, got: pixels },
    })
  }
}
