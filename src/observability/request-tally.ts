import type { RequestOutcome } from './metrics.ts'

/** Requests of one status and outcome. */
export type TalliedRequests = {
  readonly status: number
  readonly outcome: string
  readonly count: number
  readonly bytes: number
  readonly seconds: number
  /** How many took at most so long and longer than the bound before; without those beyond the last bound. */
  readonly byBound: readonly number[]
}

/** Counts requests in plain numbers; a library's counters cost a thirtieth of a hit. Statuses and outcomes are closed sets. */
export interface RequestTally {
  add(request: RequestOutcome): void
  rows(): readonly TalliedRequests[]
}

type Row = { -readonly [Member in keyof TalliedRequests]: TalliedRequests[Member] } & { readonly byBound: number[] }

export function createRequestTally(boundsSeconds: readonly number[]): RequestTally {
  const rows: Row[] = []
  const startRow = (status: number, outcome: string): Row => {
    const row = { status, outcome, count: 0, bytes: 0, seconds: 0, byBound: boundsSeconds.map(() => 0) }
    rows.push(row)
    return row
  }
  return {
    add({ status, outcome, seconds, bytes }) {
      const row = rows.find((row) => row.status === status && row.outcome === outcome) ?? startRow(status, outcome)
      row.count += 1
      row.bytes += bytes
      row.seconds += seconds
      const bound = boundsSeconds.findIndex((bound) => seconds <= bound)
      if (bound !== -1) row.byBound[bound] = (row.byBound[bound] ?? 0) + 1
    },
    rows: () => rows,
  }
}

/** The durations as a histogram by outcome, in Prometheus' text format (0.0.4). */
export function durationText(
  { name, help }: { name: string; help: string },
  boundsSeconds: readonly number[],
  rows: readonly TalliedRequests[],
): string {
  const lines = [`# HELP ${name} ${help}`, `# TYPE ${name} histogram`]
  for (const [outcome, same] of Map.groupBy(rows, (row) => row.outcome)) {
    const sum = (read: (row: TalliedRequests) => number) => same.reduce((total, row) => total + read(row), 0)
    let upTo = 0
    for (const [index, bound] of boundsSeconds.entries()) {
      upTo += sum((row) => row.byBound[index] ?? 0)
      lines.push(`${name}_bucket{le="${bound}",outcome="${outcome}"} ${upTo}`)
    }
    const count = sum((row) => row.count)
    lines.push(`${name}_bucket{le="+Inf",outcome="${outcome}"} ${count}`)
    lines.push(`${name}_sum{outcome="${outcome}"} ${sum((row) => row.seconds)}`)
    lines.push(`${name}_count{outcome="${outcome}"} ${count}`)
  }
  return `${lines.join('\n')}\n`
}
