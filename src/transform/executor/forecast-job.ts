import type { ImageMetadata } from '../image/image-metadata.ts'
import type { TransformPlan } from '../planner/transform-plan.ts'
import type { Forecast } from './job-ticket.ts'
import { predictCost, predictUnknownCost } from './predict-cost.ts'
import { sharedDecodeOf, sharedDrawingOf } from './shared-decode.ts'

/** Names what one source version keeps in a renderer: the original, a decode, a drawing. */
export function pictureOf(sourceKey: string, name: string): string {
  return `${name} ${sourceKey}`
}

/** For an original of which only the length is known. Pure. */
export function forecastUnknown(byteLength: number): Forecast {
  const coldMs = totalMs(predictUnknownCost(byteLength))
  return { isKnown: false, coldMs, decodedMs: coldMs, decode: undefined, drawnMs: coldMs, drawing: undefined }
}

/** `factor` corrects the prediction by what was measured. Pure. */
export function forecastPlan(
  original: { readonly sourceKey: string; readonly metadata: ImageMetadata },
  plan: TransformPlan,
  options: { readonly factor: number; readonly sharedBytes: number },
): Forecast {
  const { sourceKey, metadata } = original
  const { factor, sharedBytes } = options
  const cost = predictCost(metadata, plan)
  const decode = sharedBytes > 0 ? sharedDecodeOf(metadata, plan, sharedBytes) : undefined
  const drawing = sharedBytes > 0 ? sharedDrawingOf(metadata, plan) : undefined
  return {
    isKnown: true,
    coldMs: totalMs(cost) * factor,
    decodedMs: (cost.drawMs + cost.encodeMs) * factor,
    decode: decode && pictureOf(sourceKey, decode.name),
    drawnMs: cost.encodeMs * factor,
    drawing: drawing && pictureOf(sourceKey, drawing),
  }
}

/** The kind of job that predictions are corrected by. */
export function kindOf(metadata: ImageMetadata, plan: TransformPlan): string {
  return plan.kind === 'passthrough' ? 'passthrough' : `${metadata.format}>${plan.output.format}`
}

function totalMs(cost: { readonly decodeMs: number; readonly drawMs: number; readonly encodeMs: number }): number {
  return cost.decodeMs + cost.drawMs + cost.encodeMs
}
