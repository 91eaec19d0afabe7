import type { ImageMetadata } from '../image/image-metadata.ts'
import type { Capabilities } from '../negotiation/capabilities.ts'
import type { Params } from '../params/params.ts'
import type { PlanLimits } from './transform-plan.ts'

/** All that a plan depends on. */
export type PlanRequest = {
  readonly params: Params
  readonly metadata: ImageMetadata
  /** Narrowed to these params by `narrowCapabilities`. */
  readonly capabilities: Capabilities
  readonly limits: PlanLimits
}
