import { SaxesParser } from 'saxes'
import { AppError } from '../../errors.ts'

/** A part of the document and what it alone makes the renderer draw aside. */
type Part = {
  readonly name: string
  /** Attributes and style as declarations. */
  readonly style: string
  /** What rules of style sheets may name it by. */
  readonly keys: readonly string[]
  readonly children: Part[]
}
/**
 * In layers: surfaces of the size of the picture that are drawn on their own and put together, 35 ms and (while they are inside
 * one another) 4 MB per megapixel each. Filters by the time they take.
 */
const layersOf = { group: 1, leaf: 0.25, clipPath: 1, mask: 3, pattern: 2, primitive: 2, heavyPrimitive: 17 } as const
const heavyPrimitives: ReadonlySet<string> = new Set([
  ...['feGaussianBlur', 'feDropShadow', 'feTurbulence', 'feConvolveMatrix', 'feMorphology', 'feDisplacementMap'],
  ...['feDiffuseLighting', 'feSpecularLighting'],
])
/** Drawn only where something refers to it. */
const definitions: ReadonlySet<string> = new Set([
  ...['defs', 'symbol', 'clipPath', 'mask', 'pattern', 'marker', 'filter', 'linearGradient', 'radialGradient'],
])
/** What uses of uses add up to has no end, and nothing is affordable long before. */
const maxLayers = 1_000_000

/** Uses of uses, and elements in one another: no drawing program comes near, and recursion has to end. */
const maxDepth = 1000

const compositing =
  /(?:^|;)\s*(?:opacity\s*:(?!\s*(?:1(?:\.0*)?\s*(?:;|$)|100%))|mix-blend-mode\s*:(?!\s*normal)|isolation\s*:\s*isolate)/i
const filterFunctions = /\b(?:blur|drop-shadow)\s*\(/gi
const references = /url\(\s*["']?#([^\s"'()]+)|(?:^|;)href:#([^;]+)/gi

/** How many layers drawing a sanitised SVG takes; an upper bound where style sheets decide. */
export function weighSvg(svg: string): number {
  const { root, parts, sheets } = readParts(svg)
  const known = new Map<Part | string, number>()
  const once = (key: Part | string, depth: number, weigh: () => number): number => {
    const weight = known.get(key)
    if (weight !== undefined) return weight
    if (depth > maxDepth) throw new AppError('undecodable', { detail: 'The SVG is nested too deeply' })
    // What refers to itself is not drawn again.
    known.set(key, 0)
    const total = Math.min(maxLayers, weigh())
    known.set(key, total)
    return total
  }
  const weighStyle = (style: string, group: number, depth: number): number =>
    styleLayers(style, group) +
    sum(
      [...new Set([...style.matchAll(references)].map(([, url, href]) => parts.get(url ?? href ?? '')))].map(
        (target) => (target ? (targetLayers[target.name] ?? 0) + weighPart(target, depth + 1) : 0),
      ),
    )
  const weighRule = (key: string, depth: number): number => {
    const rule = sheets.get(key)
    return rule === undefined ? 0 : once(key, depth, () => weighStyle(rule.join(';'), layersOf.group, depth))
  }
  const weighPart = (part: Part, depth: number): number =>
    once(part, depth, () => {
      const group = part.children.length > 0 || part.name === 'use' ? layersOf.group : layersOf.leaf
      const inside = part.children.filter(({ name }) => !definitions.has(name))
      return (
        primitiveLayers(part.name) +
        weighStyle(part.style, group, depth) +
        sum(part.keys.map((key) => weighRule(key, depth))) +
        sum(inside.map((child) => weighPart(child, depth + 1)))
      )
    })
  return root ? weighPart(root, 0) : 0
}

const targetLayers: Readonly<Record<string, number>> = {
  clipPath: layersOf.clipPath,
  mask: layersOf.mask,
  pattern: layersOf.pattern,
}
const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0)

function primitiveLayers(name: string): number {
  if (!/^fe(?!Func|MergeNode|DistantLight|PointLight|SpotLight)/.test(name)) return 0
  return heavyPrimitives.has(name) ? layersOf.heavyPrimitive : layersOf.primitive
}

function styleLayers(style: string, group: number): number {
  const blurs = style.match(filterFunctions)?.length ?? 0
  return (compositing.test(style) ? group : 0) + blurs * layersOf.heavyPrimitive
}

function readParts(svg: string) {
  const open: Part[] = []
  const parts = new Map<string, Part>()
  const sheets = new Map<string, string[]>()
  let root: Part | undefined
  const parser = new SaxesParser({ xmlns: false })
  parser.on('opentag', ({ name, attributes }) => {
    const part = partOf(name, attributes)
    root ??= part
    open.at(-1)?.children.push(part)
    open.push(part)
    const { id } = attributes
    // The first one of a name is the one that is referred to.
    if (id !== undefined && !parts.has(id)) parts.set(id, part)
  })
  parser.on('text', (text) => {
    if (open.at(-1)?.name === 'style') readSheet(text, sheets)
  })
  parser.on('closetag', () => void open.pop())
  parser.write(svg).close()
  return { root, parts, sheets }
}

function partOf(name: string, attributes: Readonly<Record<string, string>>): Part {
  const style = Object.entries(attributes)
    .filter(([key]) => !unweighed.has(key))
    .map(([key, value]) => (key === 'style' ? value : `${key.replace('xlink:', '')}:${value}`))
  const classes = attributes.class?.split(/\s+/).map((each) => `.${each}`) ?? []
  const id = attributes.id === undefined ? [] : [`#${attributes.id}`]
  return { name, style: style.join(';'), keys: [...new Set(['*', name, ...id, ...classes])], children: [] }
}

const unweighed: ReadonlySet<string> = new Set(['id', 'class', 'd', 'points'])

/** Notes declarations by the element, class or id that their selector ends in. */
function readSheet(text: string, sheets: Map<string, string[]>): void {
  for (const rule of text.split('}')) {
    const [declarations = '', selectors = ''] = rule.split('{').reverse()
    for (const selector of selectors.split(',')) {
      const last = /^[.#]?[\w-]+/.exec(
        selector
          .trim()
          .split(/[\s>+~]+/)
          .at(-1) ?? '',
      )
      const key = last?.[0] ?? '*'
      const known = sheets.get(key)
      if (known) known.push(declarations)
      else sheets.set(key, [declarations])
    }
  }
}
