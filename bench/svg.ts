/** Just enough SVG for bar charts: no library draws them smaller than this describes them. */

export type Bar = {
  readonly label: string
  readonly value: number
  /** Half the spread of the rounds, in the unit of `value`. */
  readonly spread?: number
  readonly shown: string
  /** Ours, or somebody's that we are compared with. */
  readonly kind: 'ours' | 'other'
}

export type BarChart = {
  readonly title: string
  readonly subtitle: string
  readonly bars: readonly Bar[]
  /** A line across all bars: what is to be reached. */
  readonly mark?: { readonly value: number; readonly label: string }
  readonly footer: string
}

const width = 760
const labelWidth = 250
const valueWidth = 110
const rowHeight = 30
const barHeight = 18
const headHeight = 64
const footHeight = 42

/** Horizontal bars from zero, in colours that read on a light and on a dark page. */
export function barChart({ title, subtitle, bars, mark, footer }: BarChart): string {
  const height = headHeight + bars.length * rowHeight + footHeight
  const plot = width - labelWidth - valueWidth
  const highest = Math.max(...bars.map(({ value, spread = 0 }) => value + spread), mark?.value ?? 0)
  const x = (value: number) => labelWidth + (value / highest) * plot
  const rows = bars.map((bar, index) => row(bar, headHeight + index * rowHeight, x))
  const bottom = headHeight + bars.length * rowHeight
  const line = mark
    ? `<line class="mark" x1="${at(x(mark.value))}" y1="${headHeight - 6}" x2="${at(x(mark.value))}" y2="${bottom}"/>
  <text class="small" x="${at(x(mark.value))}" y="${headHeight - 10}" text-anchor="middle">${escape(mark.label)}</text>`
    : ''
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escape(title)}">
  <style>
    text { font: 13px system-ui, sans-serif; fill: #1d1d2b }
    .title { font-size: 16px; font-weight: 600 }
    .small { font-size: 11px; fill: #666675 }
    .ours { fill: #5b4bdb }
    .other { fill: #a9a9b8 }
    .spread { stroke: #1d1d2b; stroke-width: 1.5 }
    .mark { stroke: #d9480f; stroke-width: 1.5; stroke-dasharray: 4 3 }
    .page { fill: #fff }
    @media (prefers-color-scheme: dark) {
      text { fill: #e8e8f0 } .small { fill: #a0a0b0 } .ours { fill: #8f83f5 } .other { fill: #5c5c6b }
      .spread { stroke: #e8e8f0 } .page { fill: #16161f }
    }
  </style>
  <rect class="page" width="${width}" height="${height}" rx="8"/>
  <text class="title" x="16" y="26">${escape(title)}</text>
  <text class="small" x="16" y="44">${escape(subtitle)}</text>
  ${rows.join('\n  ')}
  ${line}
  <text class="small" x="16" y="${height - 14}">${escape(footer)}</text>
</svg>
`
}

function row({ label, value, spread = 0, shown, kind }: Bar, top: number, x: (value: number) => number): string {
  const middle = top + rowHeight / 2
  const end = x(value)
  const whisker =
    spread > 0
      ? `<line class="spread" x1="${at(x(Math.max(0, value - spread)))}" y1="${middle}" x2="${at(x(value + spread))}" y2="${middle}"/>`
      : ''
  return `<text x="${labelWidth - 10}" y="${middle + 4}" text-anchor="end">${escape(label)}</text>
  <rect class="${kind}" x="${labelWidth}" y="${top + (rowHeight - barHeight) / 2}" width="${at(Math.max(1, end - labelWidth))}" height="${barHeight}" rx="3"/>
  ${whisker}
  <text x="${at(x(value + spread) + 8)}" y="${middle + 4}">${escape(shown)}</text>`
}

const at = (value: number) => value.toFixed(1)

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
}
