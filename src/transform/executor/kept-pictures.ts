/** Keeps pictures for a short time and within a number of bytes; the least recently used goes first. */
export interface KeptPictures<Picture> {
  get(sourceKey: string, name: string): Picture | undefined
  /** One that is larger than the bound by itself is not kept. */
  keep(sourceKey: string, name: string, picture: Picture, bytes: number): void
  /** Forgets all pictures of one source. */
  forget(sourceKey: string): void
  /** Forgets what has not been used for the time allowed. */
  sweep(): void
  bytes(): number
}

type Kept<Picture> = {
  readonly sourceKey: string
  readonly picture: Picture
  readonly bytes: number
  usedAtMs: number
}

export function createKeptPictures<Picture>(options: {
  readonly maxBytes: number
  readonly keepMs: number
  readonly nowMs: () => number
}): KeptPictures<Picture> {
  // In order of use, the oldest first.
  const entries = new Map<string, Kept<Picture>>()
  let total = 0
  const drop = (key: string): void => {
    total -= entries.get(key)?.bytes ?? 0
    entries.delete(key)
  }
  const dropWhere = (isOver: (kept: Kept<Picture>) => boolean): void => {
    for (const [key, kept] of entries) if (isOver(kept)) drop(key)
  }
  const isStale = (kept: Kept<Picture>): boolean => options.nowMs() - kept.usedAtMs >= options.keepMs
  return {
    get(sourceKey, name) {
      const key = keyOf(sourceKey, name)
      const kept = entries.get(key)
      if (!kept) return undefined
      entries.delete(key)
      if (isStale(kept)) {
        total -= kept.bytes
        return undefined
      }
      kept.usedAtMs = options.nowMs()
      entries.set(key, kept)
      return kept.picture
    },
    keep(sourceKey, name, picture, bytes) {
      const key = keyOf(sourceKey, name)
      drop(key)
      if (bytes > options.maxBytes) return
      for (const [oldest] of entries) {
        if (total + bytes <= options.maxBytes) break
        drop(oldest)
      }
      entries.set(key, { sourceKey, picture, bytes, usedAtMs: options.nowMs() })
      total += bytes
    },
    forget: (sourceKey) => dropWhere((kept) => kept.sourceKey === sourceKey),
    sweep: () => dropWhere(isStale),
    bytes: () => total,
  }
}

function keyOf(sourceKey: string, name: string): string {
  return `${name} ${sourceKey}`
}
