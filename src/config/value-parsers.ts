import { isIP } from 'node:net'

/** Text of one environment variable to a typed value. `expected` completes "expected ..." in messages and docs. */
export type ValueParser<T> = {
  readonly expected: string
  readonly parse: (text: string) => T | undefined
}

type NumberRange = { readonly min: number; readonly max: number; readonly unit?: string }

export function wholeNumber(range: NumberRange): ValueParser<number> {
  return {
    expected: `a whole number${ofUnit(range)} from ${String(range.min)} to ${String(range.max)}`,
    parse: (text) => (/^\d{1,15}$/.test(text) ? within(Number(text), range) : undefined),
  }
}

export function decimalNumber(range: NumberRange): ValueParser<number> {
  return {
    expected: `a number${ofUnit(range)} from ${String(range.min)} to ${String(range.max)}`,
    parse: (text) => (/^\d{1,12}(\.\d{1,6})?$/.test(text) ? within(Number(text), range) : undefined),
  }
}

export function onOff(): ValueParser<boolean> {
  return {
    expected: 'true or false',
    parse: (text) => ({ true: true, '1': true, false: false, '0': false })[text.toLowerCase()],
  }
}

export function oneOf<const T extends string>(choices: readonly T[]): ValueParser<T> {
  return {
    expected: `one of ${choices.join(', ')}`,
    parse: (text) => choices.find((choice) => choice === text),
  }
}

/** Whole numbers, sorted and without repetition. */
export function numberList(range: NumberRange): ValueParser<readonly number[]> {
  const one = wholeNumber(range)
  return {
    expected: `${one.expected.replace('a whole number', 'whole numbers')}, separated by commas (at most 100)`,
    parse: (text) => {
      const numbers = text.split(',').map((piece) => one.parse(piece.trim()))
      if (numbers.length > 100 || numbers.includes(undefined)) return undefined
      return [...new Set(numbers.filter((value) => value !== undefined))].sort((a, b) => a - b)
    },
  }
}

export function plainText(expected: string, pattern: RegExp): ValueParser<string> {
  return { expected, parse: (text) => (pattern.test(text) ? text : undefined) }
}

/** A path of the file system; the loader resolves it. */
export function fileSystemPath(expected: string): ValueParser<string> {
  return { expected, parse: (text) => (text.includes('\0') ? undefined : text) }
}

/** `https://img.example.com`: scheme, host, port, and nothing after them. */
export function webOrigin(): ValueParser<string> {
  return {
    expected: 'an origin such as https://img.example.com, without a path',
    parse: (text) => {
      const url = URL.canParse(text) ? new URL(text) : undefined
      const isOrigin = url !== undefined && /^https?:$/.test(url.protocol) && text.replace(/\/$/, '') === url.origin
      return isOrigin ? url.origin : undefined
    },
  }
}

/** CIDR blocks and single addresses, as `10.0.0.0/8,fd12::/16`. */
export function addressBlocks(): ValueParser<readonly string[]> {
  return {
    expected: 'addresses or CIDR blocks separated by commas, such as 10.0.0.0/8,192.168.1.7,fd12::/16',
    parse: (text) => listOf(text, isAddressBlock),
  }
}

export function isAddressBlock(text: string): boolean {
  const [address = '', bits, more] = text.split('/')
  const kind = isIP(address)
  if (kind === 0 || more !== undefined || address.includes('%')) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (kind === 4 ? 32 : 128))
}

/** Host names in which whole labels may be `*`, and the first `**`. */
export function hostPatterns(): ValueParser<readonly string[]> {
  return {
    expected: 'host names separated by commas, such as cdn.example.com,*.example.org,**.example.net',
    parse: (text) => listOf(text.toLowerCase(), isHostPattern),
  }
}

/** ASCII only: names in other scripts are written as the URL standard reads them (xn--...). An address counts as a name. */
export function isHostPattern(text: string): boolean {
  if (isIP(text) !== 0) return true
  return (
    text.length <= 253 &&
    /^(\*{1,2}\.)?([a-z0-9_-]{1,63}|\*)(\.([a-z0-9_-]{1,63}|\*))*$/.test(text) &&
    /[a-z0-9]/.test(text)
  )
}

/** Pieces between commas, at most 1000, all of them good. */
export function listOf(text: string, isGood: (item: string) => boolean): string[] | undefined {
  const items = text.split(',').map((item) => item.trim())
  return items.length <= 1000 && items.every(isGood) ? items : undefined
}

/** The value of Access-Control-Allow-Origin: `*` or one origin (Fetch standard, CORS protocol). */
export function corsOrigin(): ValueParser<string> {
  const origin = webOrigin()
  return { expected: `* or ${origin.expected}`, parse: (text) => (text === '*' ? text : origin.parse(text)) }
}

/** Params as they stand in a URL, without the `?`. */
export function queryString(): ValueParser<string> {
  return {
    expected: 'URL parameters such as auto=format&q=70, without ? and without s, sig, kid or expires',
    parse: (text) => (isParamsQuery(text) ? text : undefined),
  }
}

/** Whether text may stand for params in a preset or as defaults: signatures and lifetimes belong to one URL only. */
export function isParamsQuery(text: string): boolean {
  if (text.length > 2000 || !/^[!-"$->@-~]*$/.test(text)) return false
  const names = new URLSearchParams(text)
  return !['s', 'sig', 'kid', 'expires', 'preset'].some((name) => names.has(name))
}

export type SigningKeySetting = { readonly id: string; readonly secret: string }

export function signingKeys(): ValueParser<readonly SigningKeySetting[]> {
  return {
    expected: 'kid:secret pairs separated by commas; a kid is 1 to 64 letters, digits, - or _, and none is there twice',
    parse: (text) => {
      const keys = text.split(',').map((pair) => /^\s*([A-Za-z0-9_-]{1,64}):(\S.*?)\s*$/.exec(pair))
      const parsed = keys.flatMap((match) => (match?.[1] && match[2] ? [{ id: match[1], secret: match[2] }] : []))
      const isWhole = parsed.length === keys.length && new Set(parsed.map((key) => key.id)).size === parsed.length
      return isWhole ? parsed : undefined
    },
  }
}

export function tokenList(): ValueParser<readonly string[]> {
  return {
    expected: 'tokens separated by commas, none of them empty',
    parse: (text) => {
      const tokens = text.split(',').map((token) => token.trim())
      return tokens.includes('') ? undefined : tokens
    },
  }
}

function within(value: number, range: NumberRange): number | undefined {
  return value >= range.min && value <= range.max ? value : undefined
}

function ofUnit(range: NumberRange): string {
  return range.unit === undefined ? '' : ` of ${range.unit}`
}
