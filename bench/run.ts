import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { cpus, loadavg, release } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command, InvalidArgumentError } from 'commander'
import type { Bench, Scenario } from './bench.ts'
import { drawCharts } from './charts.ts'
import { preparePictures } from './harness/pictures.ts'
import { parseUrlPeer } from './peers/url-peer.ts'
import { compare, scenarioTable, targetTable, type Report } from './report.ts'
import { scenarios } from './scenarios.ts'

const home = fileURLToPath(new URL('..', import.meta.url))
const baselineFile = join(home, 'bench', 'baseline.json')

type Options = {
  readonly quick?: boolean
  readonly rounds: string
  readonly seconds: string
  readonly json?: string
  readonly peer: readonly string[]
  readonly halftone: string
  readonly saveBaseline?: boolean
  readonly charts?: boolean
  readonly strict?: boolean
}

const program = new Command('bench')
  .description('Measures Halftone beside its yardsticks and peers. bench/README.md says how to read the figures.')
  .argument(
    '[scenarios...]',
    `which to run: ${scenarios.map(({ name }) => name).join(', ')}; all when left out`,
    // Commander asks for each, with those before it.
    (name, all: readonly string[] | undefined) => [...(all ?? []), knownScenario(name)],
  )
  .option('--quick', 'about a minute: the cheap scenarios, one round each')
  .option('--rounds <n>', 'rounds of everything', '3')
  .option('--seconds <n>', 'length of one measurement of hits', '3')
  .option('--json <file>', 'write the report there')
  .option(
    '--peer <name=url>',
    'another server, by a URL with {path}, {w} and {format}',
    (one, all: string[]) => [...all, one],
    [],
  )
  .option('--halftone <folder>', 'measure another clone (its dependencies installed)', home)
  .option('--charts', 'draw docs/bench/*.svg')
  .option('--save-baseline', 'keep this run in bench/baseline.json')
  .option('--strict', 'exit with 1 when a figure is worse than the baseline beyond noise')

program.action(async (names: string[], options: Options) => {
  const chosen = choose(names, options)
  const report = await measure(chosen, options)
  process.stdout.write(`\n${targetTable(report)}\n`)
  const baseline = existsSync(baselineFile) ? (JSON.parse(await readFile(baselineFile, 'utf8')) as Report) : undefined
  const changes = baseline ? compare(report, baseline) : []
  for (const change of changes) process.stdout.write(`  ${change}\n`)
  if (options.json !== undefined) await save(options.json, report)
  if (options.saveBaseline) await save(baselineFile, merge(baseline, report))
  if (options.charts) await drawCharts(report, join(home, 'docs', 'bench'))
  if (options.strict && changes.some((change) => change.startsWith('worse'))) process.exitCode = 1
})

function knownScenario(name: string): string {
  if (scenarios.some((scenario) => scenario.name === name)) return name
  throw new InvalidArgumentError(`expected ${scenarios.map((scenario) => scenario.name).join(', ')}.`)
}

function choose(names: readonly string[], { quick }: Options): readonly Scenario[] {
  if (names.length > 0) return scenarios.filter(({ name }) => names.includes(name))
  return quick ? scenarios.filter(({ cheap }) => cheap) : scenarios
}

async function measure(chosen: readonly Scenario[], options: Options): Promise<Report> {
  const data = join(home, 'data', 'bench')
  const quick = options.quick ?? false
  const settings = { rounds: quick ? 1 : Number(options.rounds), seconds: quick ? 1 : Number(options.seconds), quick }
  const bench: Omit<Bench, 'workspace'> = {
    ...settings,
    root: resolve(options.halftone),
    pictures: await preparePictures(join(data, 'pictures'), join(home, '..', 'shared', 'corpus')),
    urlPeers: options.peer.map(parseUrlPeer),
    say: (line) => process.stderr.write(`    ${line}\n`),
  }
  const done: Report['scenarios'][number][] = []
  for (const scenario of chosen) {
    try {
      done.push(await runOne(scenario, bench, data))
    } catch (error) {
      // An hour of figures is not thrown away for one scenario.
      process.exitCode = 1
      process.stdout.write(`  FAILED: ${error instanceof Error ? error.message : String(error)}\n`)
    }
  }
  return { at: new Date().toISOString(), machine: machineFacts(bench.root), settings, scenarios: done }
}

/** Scenarios that were not run keep their former figures; each says by which commit it was measured. */
function merge(baseline: Report | undefined, report: Report): Report {
  const ran = new Map(report.scenarios.map((scenario) => [scenario.name, scenario]))
  const kept = (baseline?.scenarios ?? []).filter(({ name }) => !ran.has(name))
  const order = scenarios.map(({ name }) => name)
  const all = [...kept, ...report.scenarios].sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name))
  return { ...report, scenarios: all }
}

async function runOne(
  scenario: Scenario,
  bench: Omit<Bench, 'workspace'>,
  data: string,
): Promise<Report['scenarios'][number]> {
  const loadBefore = loadavg()[0] ?? 0
  process.stdout.write(`\n${scenario.name}: ${scenario.about} (load ${loadBefore.toFixed(1)})\n`)
  await mkdir(data, { recursive: true })
  const workspace = await mkdtemp(join(data, `${scenario.name}-`))
  const startedMs = performance.now()
  try {
    const result = await scenario.run({ ...bench, workspace })
    const tookSeconds = Math.round((performance.now() - startedMs) / 100) / 10
    process.stdout.write(`${scenarioTable(result)}\n${result.notes.map((note) => `  ${note}\n`).join('')}`)
    return { name: scenario.name, commit: commitOf(bench.root), ...result, tookSeconds, loadBefore }
  } finally {
    await rm(workspace, { recursive: true, force: true, maxRetries: 3 })
  }
}

function machineFacts(root: string): Report['machine'] {
  const [first] = cpus()
  return {
    processor: first?.model ?? '',
    cores: cpus().length,
    kernel: release(),
    node: process.version,
    commit: commitOf(root),
  }
}

function commitOf(root: string): string {
  try {
    return execFileSync('git', ['-C', root, 'describe', '--always', '--dirty'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
  } catch {
    return 'unknown'
  }
}

async function save(file: string, report: Report): Promise<void> {
  await writeFile(file, `${JSON.stringify(report, null, 2)}\n`)
}

await program.parseAsync()
