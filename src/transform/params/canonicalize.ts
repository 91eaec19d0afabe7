import { foldDensity } from './fold-density.ts'
import { defaultQualities } from './groups/format.ts'
import { triggersRender } from './params.ts'
import type { Params } from './params.ts'
import { registryEntries } from './registry.ts'
import type { RegistryEntry } from './registry.ts'

/** Spelling of a rendering that changes nothing but must not share a key with the untouched original. */
const PLAIN_RENDER = 'fit=clip'

const MAX_SHOWN_VALUE = 100

/**
 * The one spelling of all params that mean the same picture, for the cache key: sorted, defaults and params without
 * effect left out, dpr folded into px where that loses nothing, nothing that only changes headers. Empty exactly when the original is passed through.
 */
export function canonicalParams(given: Params): string {
  if (!triggersRender(given)) return ''
  const params = foldDensity(given)
  const spelled = spellPixelParams(params)
  const parts = [...spelled].filter(([name, { entry, text }]) => {
    const { fallback, type } = entry.definition
    if (fallback !== undefined && type.format(fallback) === text) return false
    return isInForce(entry, spelled) && !isOverruled(name, params)
  })
  return parts.map(([name, { text }]) => `${name}=${text}`).join('&') || PLAIN_RENDER
}

/** What was applied, for the X-Halftone-Params header: all given params as they were understood, in printable ASCII. */
export function appliedParams(params: Params): string {
  const given = registryEntries.filter(({ name }) => Object.hasOwn(params, name))
  return given.map((entry) => `${entry.name}=${escapeValue(spell(entry, params))}`).join('&')
}

type Spelled = { readonly entry: RegistryEntry; readonly text: string }

function spellPixelParams(params: Params): ReadonlyMap<string, Spelled> {
  const given = registryEntries.filter(
    (entry) => entry.definition.effect === 'pixels' && Object.hasOwn(params, entry.name),
  )
  return new Map(given.map((entry) => [entry.name, { entry, text: spell(entry, params) }]))
}

function spell({ name, definition }: RegistryEntry, params: Readonly<Record<string, unknown>>): string {
  return definition.type.format(params[name])
}

/** Whether the params that this one depends on have one of the values it needs. */
function isInForce(entry: RegistryEntry, spelled: ReadonlyMap<string, Spelled>): boolean {
  return Object.entries(entry.definition.requires).every(([name, accepted]) => {
    const needed = registryEntries.find((other) => other.name === name)?.definition
    const text = spelled.get(name)?.text ?? needed?.type.format(needed.fallback) ?? ''
    return accepted.includes(text)
  })
}

/** Rules between params that a list of words cannot say. */
function isOverruled(name: string, params: Params): boolean {
  switch (name) {
    case 'ar':
      return params.w !== undefined && params.h !== undefined
    case 'min-w':
    case 'max-w':
      return params.w !== undefined
    case 'min-h':
    case 'max-h':
      return params.h !== undefined
    case 'q':
      return params.q === qualityWithoutQ(params)
    default:
      return false
  }
}

/** The quality in force when the URL has no `q`. */
export function qualityWithoutQ(params: Params): number {
  return params.auto?.includes('compress') ? defaultQualities.compressed : defaultQualities.plain
}

function escapeValue(text: string): string {
  const shown = text.slice(0, MAX_SHOWN_VALUE).toWellFormed()
  return encodeURIComponent(shown).replaceAll('%2C', ',').replaceAll('%3A', ':')
}
