import { baseId, spreadOf, type Figure, type ScenarioResult } from './bench.ts'
import { isReached, targets, worsening, type Target } from './targets.ts'

export type Report = {
  readonly at: string
  readonly machine: Readonly<Record<string, string | number>>
  readonly settings: { readonly rounds: number; readonly seconds: number; readonly quick: boolean }
  readonly scenarios: readonly (ScenarioResult & {
    readonly name: string
    /** What was measured: a baseline may hold scenarios of several commits. */
    readonly commit?: string
    readonly tookSeconds: number
    /** One-minute load average before the scenario: above 0.5 others were at work. */
    readonly loadBefore: number
  })[]
}

/** A change below this is noise whatever the rounds say. */
const smallestChange = 0.1
const tooNoisy = 0.5

export function figuresOf(report: Report): readonly Figure[] {
  return report.scenarios.flatMap((scenario) => scenario.figures)
}

/** The table of promises: what is to be reached, what was, and how far the rounds lay apart. */
export function targetTable(report: Report): string {
  const rows = figuresOf(report).flatMap((one) => {
    const target = targets[baseId(one.id)]
    if (!target) return []
    const input = one.id.includes(':') ? ` (${one.id.slice(one.id.indexOf(':') + 1)})` : ''
    return [[`${target.text}${input}`, bound(target), shown(one), spread(one), verdict(target, one)]]
  })
  return table([['figure', 'target', 'reached', 'spread', 'verdict'], ...rows])
}

/** Every figure of one scenario. */
export function scenarioTable(result: ScenarioResult): string {
  return table(result.figures.map((one) => [one.label, shown(one), one.unit, spread(one)]))
}

/** What got worse or better since the baseline by more than either run's own noise. */
export function compare(report: Report, baseline: Report): readonly string[] {
  const before = new Map(figuresOf(baseline).map((one) => [one.id, one]))
  return figuresOf(report).flatMap((one) => {
    const [old, target] = [before.get(one.id), targets[baseId(one.id)]]
    if (!old || !target) return []
    const change = worsening(target, old.value, one.value)
    const noise = Math.max(smallestChange, spreadOf(old), spreadOf(one))
    if (Math.abs(change) <= noise) return []
    const word = change > 0 ? 'worse' : 'better'
    return [`${word}: ${target.text}: ${shown(old)} -> ${shown(one)} (noise ${percent(noise)})`]
  })
}

/** Rounds that disagree about the answer by so much say something about the machine, not about us. */
function verdict(target: Target, one: Figure): string {
  const agreed = one.rounds.map((value) => isReached(target, value))
  if (new Set(agreed).size > 1 && spreadOf(one) > tooNoisy) return 'too noisy'
  return isReached(target, one.value) ? 'reached' : 'MISSED'
}

function bound({ atLeast, atMost }: Target): string {
  return atLeast === undefined ? `<= ${atMost}` : `>= ${atLeast}`
}

function shown({ value, unit }: Figure): string {
  if (unit === 'count') return String(value)
  return value >= 1000 ? Math.round(value).toLocaleString('en') : value.toPrecision(3)
}

const percent = (share: number) => `${Math.round(share * 100)} %`

function spread(one: Figure): string {
  return one.rounds.length < 2 ? '' : `+-${percent(spreadOf(one))}`
}

function table(rows: readonly (readonly string[])[]): string {
  const columns = rows[0]?.length ?? 0
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  )
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join('  '),
    )
    .map((line) => `  ${line}`)
    .join('\n')
}
