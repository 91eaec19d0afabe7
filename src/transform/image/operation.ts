import type { Color } from './color.ts'
import type { Orientation } from './image-metadata.ts'

/**
 * One step of a plan, applied in list order to every frame. All sizes are final integers in px: the planner has done
 * the arithmetic, the executor only obeys. A later parameter adds a member here, one in `executor/apply-operation.ts`.
 */
export type Operation =
  /** Bring a picture stored with this EXIF orientation upright (1 = nothing to do, never emitted). */
  | { readonly op: 'orient'; readonly orientation: Orientation }
  | {
      readonly op: 'extract'
      readonly left: number
      readonly top: number
      readonly width: number
      readonly height: number
    }
  /** Exactly this size; aspect is the planner's business. */
  | { readonly op: 'resize'; readonly width: number; readonly height: number }
  /** Cut the most interesting window of this size out of a picture that is at least as large. */
  | { readonly op: 'crop'; readonly width: number; readonly height: number; readonly strategy: 'entropy' | 'attention' }
  | {
      readonly op: 'extend'
      readonly top: number
      readonly right: number
      readonly bottom: number
      readonly left: number
      readonly fill: ExtendFill
    }
  | { readonly op: 'flip'; readonly horizontal: boolean; readonly vertical: boolean }
  /** Lay the picture on an opaque colour; alpha is gone afterwards. */
  | { readonly op: 'flatten'; readonly color: Color }
  /** auto=enhance: a gentle tone and vibrance lift. */
  | { readonly op: 'enhance' }

export type ExtendFill =
  | { readonly kind: 'color'; readonly color: Color }
  /** Replicate the edge pixels (fit=clamp). */
  | { readonly kind: 'edge' }
  /** A blurred, covering copy of the picture (fill=blur). */
  | { readonly kind: 'blur' }
