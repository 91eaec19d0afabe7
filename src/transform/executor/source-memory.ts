import type { ImageMetadata } from '../image/image-metadata.ts'

/** What the front knows of recent originals: their headers, and whether several variants of them are wanted. */
export interface SourceMemory {
  enter(sourceKey: string): void
  leave(sourceKey: string): void
  /** Whether another job of this original is in the house, or was within the time that pictures are kept. */
  isShared(sourceKey: string): boolean
  /** A variant wants this decode; `drawing` tells variants apart that start from it anew. Forgotten when the source has been idle. */
  wantDecode(sourceKey: string, decode: string, drawing: string | object): void
  /** Whether several drawings want this decode, so that keeping it pays. */
  isDecodeShared(sourceKey: string, decode: string): boolean
  metadataOf(sourceKey: string): ImageMetadata | undefined
  /** Undefined forgets. */
  learn(sourceKey: string, metadata: ImageMetadata | undefined): void
}

type Remembered = {
  jobs: number
  lastLeftMs: number | undefined
  metadata: ImageMetadata | undefined
  /** By decode: the only drawing that has wanted it so far, or that there are several. */
  readonly wanted: Map<string, string | object | typeof several>
}

const several = Symbol('several')

export function createSourceMemory(options: {
  readonly maxEntries: number
  readonly keepMs: number
  readonly nowMs: () => number
}): SourceMemory {
  // In order of use, the oldest first; forgetting one costs a probe and a decode.
  const sources = new Map<string, Remembered>()
  const touch = (sourceKey: string): Remembered => {
    const source = sources.get(sourceKey) ?? newcomer()
    sources.delete(sourceKey)
    sources.set(sourceKey, source)
    const [oldest] = sources.keys()
    if (sources.size > options.maxEntries && oldest !== undefined) sources.delete(oldest)
    return source
  }
  const wasLately = ({ lastLeftMs }: Remembered): boolean =>
    lastLeftMs !== undefined && options.nowMs() - lastLeftMs < options.keepMs
  return {
    enter(sourceKey) {
      const source = touch(sourceKey)
      if (source.jobs === 0 && !wasLately(source)) source.wanted.clear()
      source.jobs++
    },
    leave(sourceKey) {
      const source = sources.get(sourceKey)
      if (!source) return
      source.jobs = Math.max(0, source.jobs - 1)
      source.lastLeftMs = options.nowMs()
    },
    isShared(sourceKey) {
      const source = sources.get(sourceKey)
      if (!source) return false
      return source.jobs > 1 || wasLately(source)
    },
    wantDecode(sourceKey, decode, drawing) {
      const wanted = sources.get(sourceKey)?.wanted
      const before = wanted?.get(decode) ?? drawing
      wanted?.set(decode, before === drawing ? drawing : several)
    },
    isDecodeShared: (sourceKey, decode) => sources.get(sourceKey)?.wanted.get(decode) === several,
    metadataOf: (sourceKey) => sources.get(sourceKey)?.metadata,
    learn(sourceKey, metadata) {
      const source = sources.get(sourceKey)
      if (source) source.metadata = metadata
    },
  }
}

function newcomer(): Remembered {
  return { jobs: 0, lastLeftMs: undefined, metadata: undefined, wanted: new Map() }
}
