import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { spreadOf, type Figure } from './bench.ts'
import { figuresOf, type Report } from './report.ts'
import { barChart, type Bar } from './svg.ts'

type Row = readonly [id: string, label: string, kind: Bar['kind']]

type Chart = {
  readonly file: string
  readonly title: string
  readonly subtitle: string
  readonly rows: readonly Row[]
}

const drawn = 'lake-4608x3456.jpg'
const formats = ['jpg', 'webp', 'avif', 'png']
const widths = [200, 400, 800, 1600]

/** One file each; a chart whose figures the report has not is left as it was. */
const charts: readonly Chart[] = [
  {
    file: 'hits.svg',
    title: 'Cached pictures a second of one core',
    subtitle: '20 kB, 32 connections, load generator on another core; requests for each second of CPU time',
    rows: [
      ['hit.nginx', 'nginx, static file', 'other'],
      ['hit.node-http', 'bare node:http, one buffer', 'other'],
      ['hit.halftone', 'Halftone, memory', 'ours'],
      ['hit.logging', 'Halftone, memory, log on', 'ours'],
      ['hit.express', 'express, one route', 'other'],
      ['hit.disk', 'Halftone, disk', 'ours'],
    ],
  },
  {
    file: 'avif.svg',
    title: 'CPU of one AVIF, 800 px from a 16 MP JPEG',
    subtitle: 'drawn picture, everybody with their own defaults, nothing cached; shorter is better',
    rows: [
      [`avif.ipx:${drawn}`, 'ipx', 'other'],
      [`avif.next:${drawn}`, "Next's optimizer", 'other'],
      [`miss.avif:${drawn}`, 'Halftone', 'ours'],
      [`miss.avif.sharp:${drawn}`, 'bare sharp, same plan', 'other'],
    ],
  },
  {
    file: 'srcset.svg',
    title: 'CPU of a whole srcset, 8 widths in WebP and AVIF',
    subtitle: 'one original of 16 MP, asked for at once; shorter is better',
    rows: [
      [`srcset.sharp:${drawn}`, 'bare sharp, each from the original', 'other'],
      [`srcset.halftone:${drawn}`, 'Halftone', 'ours'],
    ],
  },
  {
    file: 'busy.svg',
    title: 'Slowest hundredth of the hits, 500 a second',
    subtitle: 'p99 latency with all renderers idle and with all of them busy; shorter is better',
    rows: [
      ['busy.idle-p99', 'Halftone, renderers idle', 'ours'],
      ['busy.p99', 'Halftone, renderers busy', 'ours'],
      ['busy.bare-idle-p99', 'bare node:http, machine idle', 'other'],
      ['busy.bare-p99', 'bare node:http, machine busy', 'other'],
    ],
  },
  {
    file: 'growth.svg',
    title: 'Disk hits a second of one core, by entries on disk',
    subtitle: '20 kB; the memory tier is too small to help',
    rows: [1_000, 10_000, 100_000, 1_000_000].map((count): Row => [
      `growth.${count}`,
      `${count.toLocaleString('en')} entries`,
      'ours',
    ]),
  },
  {
    file: 'formats.svg',
    title: 'CPU of a miss, by format and width',
    subtitle: 'from a 12 MP JPEG, front and renderer together; shorter is better',
    rows: formats.flatMap((format) =>
      widths.map((width): Row => [`matrix.${format}.${width}.cpu`, `${format} ${width} px`, 'ours']),
    ),
  },
]

/** Draws every chart whose figures are all in the report; the others stay what they are, and say when that was. */
export async function drawCharts(report: Report, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  const figures = new Map(figuresOf(report).map((one) => [one.id, one]))
  const { processor, commit, node } = report.machine
  const footer = `${String(processor)}, Node ${String(node)}, ${report.at.slice(0, 10)}, ${String(commit)}. Ratios carry over to other machines, figures do not.`
  for (const { file, rows, ...words } of charts) {
    const bars = rows.flatMap(([id, label, kind]) => barOf(figures.get(id), label, kind))
    if (bars.length === rows.length) await writeFile(join(folder, file), barChart({ ...words, bars, footer }))
  }
}

function barOf(one: Figure | undefined, label: string, kind: Bar['kind']): Bar[] {
  if (!one) return []
  const value = one.value >= 1000 ? Math.round(one.value).toLocaleString('en') : one.value.toPrecision(3)
  return [{ label, kind, value: one.value, spread: spreadOf(one) * one.value, shown: `${value} ${one.unit}` }]
}
