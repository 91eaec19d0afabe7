import type { Pictures } from './harness/pictures.ts'
import type { UrlPeer } from './peers/url-peer.ts'

/** What every scenario gets. */
export type Bench = {
  /** The Halftone under test: a clone, this one by default. */
  readonly root: string
  readonly pictures: Pictures
  /** An empty folder of the scenario's own, removed afterwards. */
  readonly workspace: string
  readonly rounds: number
  /** Length of one measurement of throughput or latency. */
  readonly seconds: number
  readonly quick: boolean
  readonly urlPeers: readonly UrlPeer[]
  readonly say: (line: string) => void
}

export type Unit = 'ratio' | 'req/s' | 'ms' | 'ms CPU' | 'kB' | 'MB' | 's' | 'count'

/** One number of the result; `value` is the median of `rounds`. */
export type Figure = {
  /** Stable name; what follows a colon is the input it was measured on. `targets.ts` speaks of what stands before it. */
  readonly id: string
  readonly label: string
  readonly unit: Unit
  readonly value: number
  readonly rounds: readonly number[]
}

export type ScenarioResult = {
  readonly figures: readonly Figure[]
  /** What a reader must know to believe the figures, or not to. */
  readonly notes: readonly string[]
}

export type Scenario = {
  readonly name: string
  readonly about: string
  /** Part of `--quick`. */
  readonly cheap: boolean
  readonly run: (bench: Bench) => Promise<ScenarioResult>
}

/** A figure of several rounds. Throws when there are none. */
export function figure(id: string, label: string, unit: Unit, rounds: readonly number[]): Figure {
  return { id, label, unit, value: median(rounds), rounds }
}

/** What stands before the colon of a figure's id. */
export const baseId = (id: string): string => id.split(':', 1)[0] ?? id

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const [low, high] = [sorted[middle - 1 + (sorted.length % 2)], sorted[middle]]
  if (low === undefined || high === undefined) throw new Error('no rounds to take a median of')
  return (low + high) / 2
}

/** Half the distance from the lowest to the highest round, as a share of the median: what a difference has to exceed. */
export function spreadOf({ rounds, value }: Figure): number {
  return value === 0 ? 0 : (Math.max(...rounds) - Math.min(...rounds)) / 2 / Math.abs(value)
}

/** Element by element; both from the same rounds, so that whatever else the machine did hit both alike. */
export function ratios(over: readonly number[], under: readonly number[]): number[] {
  return over.map((value, index) => value / (under[index] ?? Number.NaN))
}
