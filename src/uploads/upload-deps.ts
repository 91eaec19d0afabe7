import type { UploadsConfig } from '../config/config.ts'
import type { Stores } from '../db/stores.ts'
import type { JobQueue } from '../jobs/job-queue.ts'
import type { ModerationSubject, Verdict } from '../moderation/moderator.ts'
import type { ImageFacts } from '../transform/image/image-facts.ts'
import type { ImageMetadata } from '../transform/image/image-metadata.ts'
import type { UploadTarget } from './targets/upload-target.ts'
import type { UploadChanges } from './upload-changes.ts'
import type { ImageUrls } from './image-urls.ts'

/** What a renderer does for uploads. Throws the AppErrors of decoding. */
export interface Examiner {
  /** Decodes everything. `key` names the bytes: what kills renderers is refused by it. */
  examine(
    asked: {
      readonly key: string
      readonly bytes: Buffer
      readonly maxPixels: number
      readonly maxFrames: number
      readonly allowSvg: boolean
    },
    signal: AbortSignal,
  ): Promise<{ readonly facts: ImageFacts; readonly preview: Buffer }>
  /** The header only, of the first bytes of a file. */
  probeHeader(asked: { readonly key: string; readonly bytes: Buffer }, signal: AbortSignal): Promise<ImageMetadata>
}

/** What the write path works with; handed in by app.ts. */
export type UploadDeps = {
  readonly config: UploadsConfig
  readonly maxFrames: number
  readonly stores: Stores
  readonly target: UploadTarget
  readonly queue: Pick<JobQueue, 'add'>
  readonly examiner: Examiner
  /** Never throws: what cannot be judged is judged by the configuration. */
  readonly moderate: (subject: ModerationSubject, signal: AbortSignal) => Promise<Verdict>
  readonly changes: UploadChanges
  readonly urls: ImageUrls
  /** Scheme and host as clients see them; known once the server listens. */
  readonly origin: () => string
  readonly log: (level: 'info' | 'warn' | 'error', event: string, fields: Readonly<Record<string, unknown>>) => void
  readonly count: (event: string) => void
  readonly now: () => number
}
