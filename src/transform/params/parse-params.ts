import { AppError } from '../../errors.ts'
import { readBase64 } from './read-base64.ts'
import type { Params } from './params.ts'
import { registry, spellings } from './registry.ts'
import type { ParamName, RegistryEntry, Spelling } from './registry.ts'

/** What was left out, or read as something else, for `halftone explain`. Names and values are cut and printable. */
export type IgnoredParam = {
  readonly name: string
  readonly value: string
  readonly expected: string
  /** The value in force instead, such as the nearest end of the range; absent when nothing was applied. */
  readonly appliedAs?: string
}

export type ParsedParams = {
  readonly params: Params
  readonly ignored: readonly IgnoredParam[]
  /** Known parameters that the URL itself names, good or bad, without transport ones such as `s`. */
  readonly named: readonly ParamName[]
}

export type ParseOptions = {
  /** Bad values and unknown presets throw instead of being ignored; unknown names never do. */
  readonly strict: boolean
  /** Query text of the source's default params. */
  readonly defaults: string
  /** Query text of each preset. */
  readonly presets: Readonly<Record<string, string>>
}

/** One query text read by itself. */
type Layer = {
  readonly values: ReadonlyMap<string, unknown>
  readonly faults: readonly Fault[]
  readonly named: ReadonlySet<string>
}

type Fault = IgnoredParam & { readonly kind: 'unknown' | 'bad' | 'malformed' }

const MAX_SHOWN = 60

/**
 * Reads the raw query of a URL (without `?`) as imgix does: form decoding, the last valid repetition wins, `auto` adds up,
 * `<name>64` is base64url, what is unknown or bad is ignored. URL before preset before source defaults.
 * Where pixels are asked for and nothing of it can be applied, `fit` is set, so that a picture is rendered at its own size.
 * Throws only AppError `param_invalid`: malformed base64url always, bad values and unknown presets when strict.
 */
export function parseParams(rawQuery: string, options: ParseOptions): ParsedParams {
  const url = readLayer(rawQuery)
  const fatal = url.faults.find((fault) => fault.kind === 'malformed' || (options.strict && fault.kind === 'bad'))
  if (fatal) throw invalidParam(fatal)

  const defaults = readLayer(options.defaults)
  const presetName = url.values.get('preset') ?? defaults.values.get('preset')
  const preset = typeof presetName === 'string' ? readPreset(presetName, options) : { layer: undefined, faults: [] }

  const values = new Map([...defaults.values, ...(preset.layer?.values ?? []), ...url.values])
  if (preset.layer) values.set('preset', presetName)
  else values.delete('preset')
  const layers = [url, ...(preset.layer ? [preset.layer] : []), defaults]
  const asksForPixels = preset.faults.length > 0 || layers.some((layer) => [...layer.named].some(isPixelParam))
  // Who asks for a picture gets one made, never the original with its place and date, however badly he asked.
  if (asksForPixels && ![...values.keys()].some(isPixelParam)) values.set('fit', registry.fit.fallback)
  return {
    // Each value was read by the registry's entry of that name, so the shape holds.
    params: Object.fromEntries(values),
    ignored: [...url.faults, ...preset.faults, ...(preset.layer?.faults ?? []), ...defaults.faults].map(shownFault),
    named: [...url.named] as ParamName[],
  }
}

/** What a strict source would answer 400 to in this query, and unknown names: for params that an operator wrote. */
export function checkParams(query: string, presets: Readonly<Record<string, string>> = {}): readonly IgnoredParam[] {
  const layer = readLayer(query)
  const preset = layer.values.get('preset')
  const isMissing = typeof preset === 'string' && !Object.hasOwn(presets, preset)
  return [...layer.faults, ...(isMissing ? [presetFault(preset)] : [])].map(shownFault)
}

function isPixelParam(name: string): boolean {
  return spellings.get(name)?.entry.definition.effect === 'pixels'
}

function presetFault(name: string): Fault {
  return faultOf('bad', { name: 'preset', text: name }, 'the name of a configured preset')
}

function readPreset(name: string, options: ParseOptions): { layer: Layer | undefined; faults: readonly Fault[] } {
  const query = Object.hasOwn(options.presets, name) ? options.presets[name] : undefined
  if (query !== undefined) return { layer: readLayer(query), faults: [] }
  const fault = presetFault(name)
  if (options.strict) throw invalidParam(fault)
  return { layer: undefined, faults: [fault] }
}

function readLayer(query: string): Layer {
  const values = new Map<string, unknown>()
  const named = new Set<string>()
  const faults: Fault[] = []
  // Never throws: broken escapes stay as they are, broken UTF-8 becomes U+FFFD. The `?` keeps a second one in the name.
  for (const [name, text] of new URLSearchParams(`?${query}`)) {
    if (name === '' && text === '') continue
    const spelling = spellings.get(name)
    if (!spelling) faults.push(faultOf('unknown', { name, text }, 'a known parameter'))
    if (!spelling || spelling.entry.definition.effect === 'none') continue
    named.add(spelling.entry.name)
    const fault = readParam(spelling, { name, text }, values)
    if (fault) faults.push(fault)
  }
  return { values, faults, named }
}

/** Puts the value of one parameter into `values`; the fault says why it was refused or only partly understood. */
function readParam(
  spelling: Spelling,
  given: { readonly name: string; readonly text: string },
  values: Map<string, unknown>,
): Fault | undefined {
  const { type } = spelling.entry.definition
  const text = spelling.base64 ? readBase64(given.text) : given.text
  if (text === undefined) return faultOf('malformed', given, 'base64url (RFC 4648 section 5) of UTF-8 text')
  const reading = type.read(text.trim())
  if (reading) store(spelling.entry, reading.value, values)
  if (reading?.exact) return undefined
  const fault = faultOf('bad', { name: given.name, text }, type.expected)
  return reading ? { ...fault, appliedAs: printable(type.format(reading.value)) } : fault
}

function store({ name, definition }: RegistryEntry, value: unknown, values: Map<string, unknown>): void {
  const { type } = definition
  values.set(name, type.merge && values.has(name) ? type.merge(values.get(name), value) : value)
}

function faultOf(
  kind: Fault['kind'],
  { name, text }: { readonly name: string; readonly text: string },
  expected: string,
): Fault {
  return { kind, name: printable(name), value: printable(text), expected }
}

function shownFault({ kind: _, ...shown }: Fault): IgnoredParam {
  return shown
}

function invalidParam({ name, value, expected }: Fault): AppError {
  return new AppError('param_invalid', {
    detail: `${name}: expected ${expected}, got "${value}"`,
    details: { param: name },
  })
}

/** Short printable ASCII, safe in logs, headers and problem documents. */
function printable(text: string): string {
  const shown = text.slice(0, MAX_SHOWN).replaceAll(/[^\x20-\x7e]/g, '?')
  return text.length > MAX_SHOWN ? `${shown}...` : shown
}
