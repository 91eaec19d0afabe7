import { formatColor, parseColor } from '../image/color.ts'
import type { Color } from '../image/color.ts'
import { clamp, roundHalfUp } from '../image/geometry.ts'
import type { Reading, ValueType } from './define-param.ts'

/** A length: device-independent px, or a share of the same side of the source (1 = 100 %). */
export type Length = { readonly unit: 'px' | 'share'; readonly value: number }

/** Whole numbers without a common factor. */
export type Ratio = { readonly width: number; readonly height: number }

/** Five decimals tell 8192 px apart and keep the number of different keys finite. */
const DECIMALS = 1e5
const MAX_DIGITS = 24

export const MAX_SIDE = 8192

function exactly<Value>(value: Value): Reading<Value> {
  return { value, exact: true }
}

/** Plain decimal notation only: no sign, exponent, hex or separators. */
export function readDecimal(text: string): number | undefined {
  if (text.length > MAX_DIGITS || !/^(?:\d+\.?\d*|\.\d+)$/.test(text)) return undefined
  return Math.round(Number(text) * DECIMALS) / DECIMALS
}

type NumberOptions = {
  readonly min: number
  readonly max: number
  /** Values outside are moved to the nearest end instead of being bad. */
  readonly clamped?: boolean
  readonly integer?: boolean
}

export function number(options: NumberOptions): ValueType<number> {
  const range = `${String(options.min)}..${String(options.max)}`
  return {
    expected: `${options.integer ? 'an integer' : 'a number'} ${range}`,
    range,
    read: (text) => {
      // A minus is only of use where a value below the range is clamped.
      const size = readDecimal(options.clamped ? text.replace(/^-/, '') : text)
      if (size === undefined) return undefined
      const given = text.startsWith('-') ? -size : size
      const wanted = options.integer ? roundHalfUp(given) : given
      const value = clamp(wanted, options.min, options.max)
      if (value !== wanted && !options.clamped) return undefined
      return { value: value + 0, exact: value === given }
    },
    format: String,
  }
}

export function integer(options: Omit<NumberOptions, 'integer'>): ValueType<number> {
  return number({ ...options, integer: true })
}

/** `w` and `h`: up to 1 a share of the source, above that px. Larger ones meet the output cap of imgix, 8192. */
export function length(): ValueType<Length> {
  return {
    expected: `an integer 2..${String(MAX_SIDE)} (px) or a number above 0 up to 1 (share of the source)`,
    range: `2..${String(MAX_SIDE)} px, or above 0 up to 1`,
    read: (text) => {
      const given = readDecimal(text)
      if (given === undefined || given === 0) return undefined
      if (given <= 1) return exactly<Length>({ unit: 'share', value: given })
      const value = clamp(roundHalfUp(given), 2, MAX_SIDE)
      return { value: { unit: 'px', value }, exact: value === given }
    },
    format: (length) => String(length.value),
  }
}

/** One of the words; `synonyms` are other spellings of the same. Case does not matter. */
export function oneOf<const Word extends string>(
  words: readonly Word[],
  synonyms: Readonly<Record<string, Word>> = {},
): ValueType<Word> {
  const meanings = new Map<string, Word>([...words.map((word) => [word, word] as const), ...Object.entries(synonyms)])
  const values = [...meanings.keys()]
  return {
    expected: `one of ${values.join(', ')}`,
    values,
    read: (text) => {
      const value = meanings.get(text.toLowerCase())
      return value === undefined ? undefined : exactly(value)
    },
    format: (word) => word,
  }
}

export function boolean(): ValueType<boolean> {
  return {
    expected: 'true, 1, false or 0',
    values: ['true', 'false', '1', '0'],
    read: (text) => {
      const word = text.toLowerCase()
      if (word === 'true' || word === '1') return exactly(true)
      return word === 'false' || word === '0' ? exactly(false) : undefined
    },
    format: (value) => (value ? '1' : '0'),
  }
}

export function color(): ValueType<Color> {
  return {
    expected: 'a CSS colour name or hex digits RGB, ARGB, RRGGBB or AARRGGBB (alpha first)',
    range: 'CSS name, RGB, ARGB, RRGGBB, AARRGGBB',
    read: (text) => {
      const value = parseColor(text)
      return value && exactly(value)
    },
    format: formatColor,
  }
}

export function ratio(): ValueType<Ratio> {
  return {
    expected: 'a ratio width:height of numbers above 0 up to 10000, such as 16:9',
    range: 'width:height',
    read: (text) => {
      const [width, height, ...more] = text.split(':', 3).map((part) => readDecimal(part.trim()))
      if (!width || !height || more.length > 0 || width > 10_000 || height > 10_000) return undefined
      return exactly(reduceRatio(Math.round(width * DECIMALS), Math.round(height * DECIMALS)))
    },
    format: (value) => `${String(value.width)}:${String(value.height)}`,
  }
}

/** 16:9, 32:18 and 1.6:0.9 are one ratio; terms too long to be read back are cut to the precision of decimals. */
function reduceRatio(width: number, height: number): Ratio {
  let [a, b] = [width, height]
  while (b > 0) [a, b] = [b, a % b]
  const reduced = { width: width / a, height: height / a }
  if (reduced.width <= 10_000 && reduced.height <= 10_000) return reduced
  const shrink = Math.max(reduced.width, reduced.height) / 10_000
  return reduceRatio(Math.max(1, Math.round(reduced.width / shrink)), Math.max(1, Math.round(reduced.height / shrink)))
}

/** Free text, cut to `maxLength` UTF-16 units. */
export function text(expected: string, maxLength: number): ValueType<string> {
  return {
    expected,
    read: (given) =>
      given === '' ? undefined : { value: given.slice(0, maxLength).toWellFormed(), exact: given.length <= maxLength },
    format: (value) => value,
  }
}

/** Splits a comma list into lower-case words without empty ones. */
export function readWords(list: string): readonly string[] {
  return list
    .toLowerCase()
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '')
}
