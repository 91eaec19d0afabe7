/** What a figure has to reach. */
export type Target = {
  /** The row as it is printed. */
  readonly text: string
  readonly atLeast?: number
  readonly atMost?: number
}

/** By the base id of the figure. The list is the promise; `bench/README.md` says what each yardstick is. */
export const targets: Readonly<Record<string, Target>> = {
  'memory-hit/nginx': { text: 'memory hit, 20 kB, against nginx', atLeast: 0.5 },
  // A hit does without node:http; below this it costs more than that saves.
  'memory-hit/node-http': { text: 'memory hit against bare node:http', atLeast: 1.2 },
  'memory-hit/express': { text: 'memory hit against an express route', atLeast: 5 },
  // The target was set by the express of that Node: since then Node has made it 2.8 times as fast, and nginx itself does not reach 5.
  'memory-hit/express-node20': { text: 'the same on Node 20', atLeast: 5 },
  'memory-hit/logging': { text: 'CPU of a hit with the log on against off', atMost: 1.1 },
  'disk-hit/memory-hit': { text: 'disk hit against memory hit', atLeast: 0.3 },
  'miss/bare-sharp': { text: 'miss: CPU against bare sharp, same plan', atMost: 1.15 },
  'avif/ipx': { text: 'AVIF 800 px from 16 MP: CPU against ipx', atMost: 0.1 },
  'avif/next': { text: "AVIF 800 px from 16 MP: CPU against Next's", atMost: 0.3 },
  'srcset/bare-sharp': { text: 'cold srcset: CPU against bare sharp', atMost: 0.6 },
  'herd.fetches': { text: '100 identical misses: source fetches', atMost: 1 },
  'herd.renders': { text: '100 identical misses: renders', atMost: 1 },
  'herd.answers': { text: '100 identical misses: answers', atLeast: 100 },
  'busy/idle': { text: 'p99 of memory hits, renderers busy against idle', atMost: 3 },
  'overload/idle': { text: 'p99 of hits at ten times capacity against idle', atMost: 3 },
  'overload.failed-hits': { text: 'hits that fail at ten times capacity', atMost: 0 },
  'overload.broken': { text: 'misses neither answered nor shed there', atMost: 0 },
  'overload.recovery': { text: 'from the end of overload to a new miss answered, s', atMost: 3 },
  'growth/1000000': { text: 'hit at 10^6 disk entries against 10^3', atMost: 1.2 },
  'soak.above-budget': { text: 'resident memory above the cache budget, 20,000 requests', atMost: 150 },
  'soak.growth': { text: 'its growth over the last half: flat', atMost: 20 },
  'upload-memory.growth': { text: '100 uploads of 20 MB at once: resident memory above idle, MB', atMost: 100 },
  'start.seconds': { text: 'npm start to first picture', atMost: 2 },
}

export function isReached({ atLeast = -Infinity, atMost = Infinity }: Target, value: number): boolean {
  return value >= atLeast && value <= atMost
}

/** Which way a figure gets worse. Figures without a target are told but not compared. */
export function worsening({ atLeast }: Target, before: number, now: number): number {
  if (before === now) return 0
  return atLeast === undefined ? now / before - 1 : before / now - 1
}
