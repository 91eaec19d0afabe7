import { registryEntries } from './registry.ts'
import type { RegistryEntry } from './registry.ts'

/** A parameter as docs and playground show it; plain JSON. */
export type ParamDescription = {
  readonly name: string
  readonly aliases: readonly string[]
  readonly category: string
  readonly summary: string
  /** What a value looks like, completing "expected ...". */
  readonly expected: string
  /** The closed list of words, where there is one. */
  readonly values: readonly string[] | null
  readonly range: string | null
  readonly default: string | null
  /** Whether `<name>64` is accepted. */
  readonly base64: boolean
  /** Parameters and the values of theirs that this one needs to have an effect. */
  readonly requires: Readonly<Record<string, readonly string[]>>
}

/** All parameters, by category in registry order of their first member, then by name. */
export function describeParams(): readonly ParamDescription[] {
  const categories = [...new Set(categoryOrder)]
  const rank = (entry: RegistryEntry): number => {
    const index = categories.indexOf(entry.definition.category)
    return index === -1 ? categories.length : index
  }
  return registryEntries.toSorted((a, b) => rank(a) - rank(b)).map(describe)
}

const categoryOrder = ['size', 'focal-point', 'pixel-density', 'format', 'auto', 'fill', 'rotation', 'http']

function describe({ name, definition }: RegistryEntry): ParamDescription {
  const { type, fallback, fallbackText } = definition
  return {
    name,
    aliases: definition.aliases,
    category: definition.category,
    summary: definition.summary,
    expected: type.expected,
    values: type.values ?? null,
    range: type.range ?? null,
    default: fallbackText ?? (fallback === undefined ? null : type.format(fallback)),
    base64: definition.base64,
    requires: definition.requires,
  }
}
