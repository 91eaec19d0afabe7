import type { ImageMetadata } from '../../src/transform/image/image-metadata.ts'
import type { Capabilities } from '../../src/transform/negotiation/capabilities.ts'
import { narrowCapabilities } from '../../src/transform/negotiation/narrow-capabilities.ts'
import { parseParams } from '../../src/transform/params/parse-params.ts'
import type { Params } from '../../src/transform/params/params.ts'
import { planTransform } from '../../src/transform/planner/plan-transform.ts'
import type { PlanLimits, TransformPlan } from '../../src/transform/planner/transform-plan.ts'

export type RenderPlan = Extract<TransformPlan, { kind: 'render' }>

export const planLimits: PlanLimits = {
  maxOutputSide: 8192,
  avifMaxPixels: 2_000_000,
  avifEffort: 1,
  webpEffort: 2,
  mozjpeg: true,
  maxPixels: 100_000_000,
  maxFrames: 300,
}

export const acceptsAll: Capabilities = { avif: true, webp: true }
export const acceptsWebp: Capabilities = { avif: false, webp: true }
export const acceptsNone: Capabilities = { avif: false, webp: false }

/** A still, opaque, upright JPEG unless told otherwise. */
export function metadataOf(width: number, height: number, other: Partial<ImageMetadata> = {}): ImageMetadata {
  return {
    format: 'jpeg',
    width,
    height,
    orientation: 1,
    hasAlpha: false,
    frames: 1,
    colorSpace: 'srgb',
    hasProfile: false,
    byteLength: 100_000,
    ...other,
  }
}

export function lenientParams(query: string): Params {
  return parseParams(query, { strict: false, defaults: '', presets: {} }).params
}

/** The whole pure path from a query to a plan, as delivery walks it. */
export function planQuery(
  query: string,
  metadata: ImageMetadata,
  capabilities: Capabilities = acceptsNone,
  limits: Partial<PlanLimits> = {},
): TransformPlan {
  const params = lenientParams(query)
  const narrowed = narrowCapabilities(params, capabilities)
  return planTransform({
    params,
    metadata,
    capabilities: narrowed.capabilities,
    limits: { ...planLimits, ...limits },
  })
}

export function planRender(...request: Parameters<typeof planQuery>): RenderPlan {
  const plan = planQuery(...request)
  if (plan.kind !== 'render') throw new Error(`expected a rendering, got ${plan.kind}`)
  return plan
}
