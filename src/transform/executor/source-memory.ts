import type { ImageMetadata } from '../image/image-metadata.ts'

/** What the front knows of recent originals: their headers, and whether several variants of them are wanted. */
export interface SourceMemory {
  enter(sourceKey: string): void
  leave(sourceKey: string): void
  /** Whether another job of this original is in the house, or was within the time that pictures are kept. */
  isShared(sourceKey: string): boolean
  metadataOf(sourceKey: string): ImageMetadata | undefined
  /** Undefined forgets. */
  learn(sourceKey: string, metadata: ImageMetadata | undefined): void
}

type Remembered = { jobs: number; lastLeftMs: number | undefined; metadata: ImageMetadata | undefined }

export function createSourceMemory(options: {
  readonly maxEntries: number
  readonly keepMs: number
  readonly nowMs: () => number
}): SourceMemory {
  // In order of use, the oldest first; forgetting one costs a probe and a decode.
  const sources = new Map<string, Remembered>()
  const touch = (sourceKey: string): Remembered => {
    const source = sources.get(sourceKey) ?? { jobs: 0, lastLeftMs: undefined, metadata: undefined }
    sources.delete(sourceKey)
    sources.set(sourceKey, source)
    const [oldest] = sources.keys()
    if (sources.size > options.maxEntries && oldest !== undefined) sources.delete(oldest)
    return source
  }
  return {
    enter: (sourceKey) => void touch(sourceKey).jobs++,
    leave(sourceKey) {
      const source = sources.get(sourceKey)
      if (!source) return
      source.jobs = Math.max(0, source.jobs - 1)
      source.lastLeftMs = options.nowMs()
    },
    isShared(sourceKey) {
      const source = sources.get(sourceKey)
      if (!source) return false
      if (source.jobs > 1) return true
      return source.lastLeftMs !== undefined && options.nowMs() - source.lastLeftMs < options.keepMs
    },
    metadataOf: (sourceKey) => sources.get(sourceKey)?.metadata,
    learn(sourceKey, metadata) {
      const source = sources.get(sourceKey)
      if (source) source.metadata = metadata
    },
  }
}
