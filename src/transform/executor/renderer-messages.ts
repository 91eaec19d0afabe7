import type { AppError, ErrorCode, ErrorDetails } from '../../errors.ts'
import type { ImageFacts } from '../image/image-facts.ts'
import type { ImageMetadata } from '../image/image-metadata.ts'
import type { TransformPlan } from '../planner/transform-plan.ts'
import type { ExamineLimits } from './examine-image.ts'
import type { Keep, Sharing } from './execute-plan.ts'

/** What a renderer is told once, on its command line (as JSON); nothing in it is secret. */
export type RendererSettings = {
  readonly maxPixels: number
  readonly timeoutSeconds: number
  /** Bytes of originals and decoded pictures it may keep for further variants; 0 keeps none. */
  readonly sharedBytes: number
  readonly keptPictureMs: number
}

/**
 * Front to renderer. A job is `recall`, `probe` or `probeFile`, then `plan`, `examine` or `drop`; an original that is recalled does not cross
 * again. A `plan` that names its original is a whole job: it recalls by itself. `forget` drops the job, and its original too: it has turned out not to be what it was taken for.
 */
export type RendererRequest =
  | { readonly kind: 'recall'; readonly sourceKey: string }
  | { readonly kind: 'probe'; readonly sourceKey: string; readonly original: Buffer }
  | { readonly kind: 'probeFile'; readonly sourceKey: string; readonly heldPath: string; readonly byteLength: number }
  /** `keep`: what further variants of this original are expected to start from. */
  | { readonly kind: 'plan'; readonly sourceKey: string | undefined; readonly plan: TransformPlan; readonly keep: Keep }
  /** Instead of `plan`, for an upload. */
  | { readonly kind: 'examine'; readonly limits: Omit<ExamineLimits, 'timeoutSeconds'> }
  | { readonly kind: 'drop' }
  | { readonly kind: 'forget'; readonly sourceKey: string }

/**
 * A request as it crosses: the bytes of an original go through a pipe of their own, after the message that announces them.
 * Serialised with the message, a photograph of 3 MB cost the front 19 ms and much garbage; through the pipe it is copied once.
 */
export type RendererMessage =
  | Exclude<RendererRequest, { readonly kind: 'probe' }>
  | { readonly kind: 'probe'; readonly sourceKey: string; readonly byteLength: number }

/** The renderer's end of the pipe that originals come through. */
export const originalsFd = 4

/**
 * Renderer to front. `ready` comes once, unasked; `read` precedes the answer to `probeFile`: what takes time from then on is not the disk; `drop` and `forget` are not answered; `unknown` says that the original is forgotten,
 * `unreadable` that the file could not be read to the announced end.
 */
export type RendererReply =
  | { readonly kind: 'ready' }
  | { readonly kind: 'read' }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'unreadable' }
  | { readonly kind: 'probed'; readonly metadata: ImageMetadata; readonly probeMs: number }
  | {
      readonly kind: 'rendered'
      readonly body: Uint8Array
      readonly width: number
      readonly height: number
      readonly frames: number
      readonly sharing: Sharing
      readonly renderMs: number
      readonly rssBytes: number
    }
  | { readonly kind: 'examined'; readonly facts: ImageFacts; readonly preview: Uint8Array; readonly rssBytes: number }
  | { readonly kind: 'failed'; readonly failure: RendererFailure; readonly rssBytes: number }

/** An AppError as it crosses the process border; causes stay in the renderer but for their first line, for the log. */
export type RendererFailure = {
  readonly code: ErrorCode
  readonly detail: string | undefined
  readonly details: ErrorDetails
  readonly reason: string | undefined
}

/** Packs an AppError for the way to the front. */
export function packFailure(error: AppError): RendererFailure {
  const reason = error.cause instanceof Error ? error.cause.message.split('\n', 1)[0] : undefined
  return { code: error.code, detail: error.detail, details: error.details, reason }
}
