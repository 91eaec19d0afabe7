/** A waiting job as the queue sees it; times in ms of one clock. */
export type QueueEntry = {
  readonly sourceName: string
  /** Bytes it holds while it waits. */
  readonly bytes: number
  readonly queuedAtMs: number
  /** Predicted; may become better known while it waits. */
  readonly costMs: () => number
  /** Nobody waits for it at a screen: it comes after all that somebody waits for, and is the first to go. */
  readonly isBackground?: boolean
}

export type QueueBounds = { readonly maxEntries: number; readonly maxBytes: number }

/**
 * The order of waiting jobs. Sources take turns by the time their jobs take, so that a busy one only delays itself; within a source
 * small jobs come first, but each is overtaken only by those that come within a multiple of its own cost.
 */
export interface RenderQueue<Entry extends QueueEntry> {
  entries(): readonly Entry[]
  push(entry: Entry): void
  remove(entry: Entry): boolean
  /** Takes the next one out. `costFor` says what it would cost whoever picks, undefined to leave it waiting. */
  pick(costFor: (entry: Entry) => number | undefined): Entry | undefined
  /** Who has to go when the queue is beyond its bounds: the newest of the source that takes most of it. */
  excess(bounds: QueueBounds): Entry | undefined
}

type Candidate<Entry> = { readonly entry: Entry; readonly costMs: number; readonly turn: number; readonly rank: number }

/** `agingRate`: 0 is smallest first for ever, 1 lets a job be overtaken only by those that come within its own cost. */
export function createRenderQueue<Entry extends QueueEntry>(options: {
  readonly agingRate: number
}): RenderQueue<Entry> {
  const entries: Entry[] = []
  // Start-time fair queueing: where each source stands, and where the one served last began. Sources come from the configuration.
  const turns = new Map<string, number>()
  let currentTurn = 0
  const turnOf = (entry: Entry): number => Math.max(turns.get(entry.sourceName) ?? 0, currentTurn)
  const remove = (entry: Entry): boolean => {
    const index = entries.indexOf(entry)
    if (index !== -1) entries.splice(index, 1)
    return index !== -1
  }
  return {
    entries: () => entries,
    push: (entry) => void entries.push(entry),
    remove,
    pick(costFor) {
      let best: Candidate<Entry> | undefined
      for (const entry of entries) {
        const costMs = costFor(entry)
        if (costMs === undefined) continue
        const rank = costMs + entry.queuedAtMs * options.agingRate
        const candidate = { entry, costMs, turn: turnOf(entry), rank }
        if (!best || isBefore(candidate, best)) best = candidate
      }
      if (!best) return undefined
      remove(best.entry)
      if (best.entry.isBackground) return best.entry
      currentTurn = best.turn
      turns.set(best.entry.sourceName, best.turn + best.costMs)
      return best.entry
    },
    excess: (bounds) => findExcess(entries, bounds),
  }
}

/** Equal ones keep the order in which they came. */
function isBefore(a: Candidate<QueueEntry>, b: Candidate<QueueEntry>): boolean {
  const isBehind = b.entry.isBackground ?? false
  if ((a.entry.isBackground ?? false) !== isBehind) return isBehind
  return a.turn === b.turn ? a.rank < b.rank : a.turn < b.turn
}

function findExcess<Entry extends QueueEntry>(entries: readonly Entry[], bounds: QueueBounds): Entry | undefined {
  const bytes = sum(entries, (entry) => entry.bytes)
  if (entries.length <= bounds.maxEntries && bytes <= bounds.maxBytes) return undefined
  const background = entries.findLast((entry) => entry.isBackground)
  if (background) return background
  const weigh = entries.length > bounds.maxEntries ? () => 1 : (entry: Entry) => entry.bytes
  const weights = new Map<string, number>()
  for (const entry of entries) weights.set(entry.sourceName, (weights.get(entry.sourceName) ?? 0) + weigh(entry))
  // The source of the newcomer pays when it takes as much as any other.
  const newestFirst = entries.toReversed()
  const most = Math.max(...weights.values())
  return newestFirst.find((entry) => weights.get(entry.sourceName) === most)
}

/**
 * Predicted work, in ms of one renderer, that will be done before a job that waits: what its own source has before it, and as much
 * of each other source as fairness gives to that in the meantime. Pure.
 */
export function workBefore<Entry extends QueueEntry>(
  waiting: readonly Entry[],
  entry: Entry,
  agingRate: number,
): number {
  const entries = entry.isBackground ? waiting : waiting.filter((other) => !other.isBackground)
  const rankOf = (other: Entry): number => other.costMs() + other.queuedAtMs * agingRate
  const rank = rankOf(entry)
  const own = sum(entries, (other) =>
    other !== entry && other.sourceName === entry.sourceName && rankOf(other) <= rank ? other.costMs() : 0,
  )
  const others = new Map<string, number>()
  for (const other of entries) {
    if (other.sourceName !== entry.sourceName) {
      others.set(other.sourceName, (others.get(other.sourceName) ?? 0) + other.costMs())
    }
  }
  return own + sum([...others.values()], (work) => Math.min(work, own + entry.costMs()))
}

function sum<Item>(items: readonly Item[], valueOf: (item: Item) => number): number {
  return items.reduce((total, item) => total + valueOf(item), 0)
}
