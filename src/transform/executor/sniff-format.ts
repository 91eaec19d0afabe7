/** What the first bytes say. `heif` is AVIF or HEIC, told apart by compression in `probeImage`. */
export type SniffedFormat = 'jpeg' | 'png' | 'webp' | 'gif' | 'heif' | 'tiff' | 'svg'

const heifBrands = new Set([
  'avif',
  'avis',
  'heic',
  'heix',
  'heim',
  'heis',
  'hevc',
  'hevx',
  'mif1',
  'msf1',
  'mif2',
  'miaf',
])

const signatures: readonly (readonly [SniffedFormat, (bytes: Buffer) => boolean])[] = [
  ['jpeg', (bytes) => startsWith(bytes, [0xff, 0xd8, 0xff])],
  ['png', (bytes) => startsWith(bytes, [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])],
  ['gif', (bytes) => /^GIF8[79]a$/.test(ascii(bytes, 0, 6))],
  ['webp', (bytes) => ascii(bytes, 0, 4) === 'RIFF' && ascii(bytes, 8, 12) === 'WEBP'],
  ['heif', (bytes) => ascii(bytes, 4, 8) === 'ftyp' && heifBrands.has(ascii(bytes, 8, 12))],
  ['tiff', (bytes) => startsWith(bytes, [0x49, 0x49, 0x2a, 0]) || startsWith(bytes, [0x4d, 0x4d, 0, 0x2a])],
  ['tiff', (bytes) => startsWith(bytes, [0x49, 0x49, 0x2b, 0]) || startsWith(bytes, [0x4d, 0x4d, 0, 0x2b])],
  ['svg', (bytes) => isSvg(bytes)],
]

/** The type of an original by its content; names and headers are never believed. Undefined for anything not supported. */
export function sniffFormat(bytes: Buffer): SniffedFormat | undefined {
  return signatures.find(([, matches]) => matches(bytes))?.[0]
}

/** Text of an XML file: UTF-8, or UTF-16 with a byte order mark. */
export function decodeXmlText(bytes: Buffer): string {
  if (startsWith(bytes, [0xff, 0xfe])) return new TextDecoder('utf-16le').decode(bytes)
  if (startsWith(bytes, [0xfe, 0xff])) return new TextDecoder('utf-16be').decode(bytes)
  return new TextDecoder('utf-8').decode(bytes)
}

/** The root element must be `svg`, after nothing but what XML allows before it. */
function isSvg(bytes: Buffer): boolean {
  const head = decodeXmlText(bytes.subarray(0, 65_536))
  if (!head.trimStart().startsWith('<')) return false
  return /^(?:[a-z][\w.-]*:)?svg[\s/>]/i.test(head.slice(rootOffset(head)))
}

/** Index just behind the `<` of the root element. */
function rootOffset(text: string): number {
  let at = text.indexOf('<')
  while (at !== -1) {
    if (text.startsWith('<!--', at)) at = text.indexOf('<', afterOrEnd(text, '-->', at))
    else if (text.startsWith('<?', at)) at = text.indexOf('<', afterOrEnd(text, '?>', at))
    else if (text.startsWith('<!', at)) at = text.indexOf('<', doctypeEnd(text, at))
    else return at + 1
  }
  return text.length
}

function doctypeEnd(text: string, at: number): number {
  const close = text.indexOf('>', at)
  const subset = text.indexOf('[', at)
  return subset !== -1 && subset < close ? afterOrEnd(text, ']', subset) : close === -1 ? text.length : close
}

function afterOrEnd(text: string, mark: string, from: number): number {
  const found = text.indexOf(mark, from)
  return found === -1 ? text.length : found + mark.length
}

function startsWith(bytes: Buffer, signature: readonly number[]): boolean {
  return signature.every((byte, index) => bytes[index] === byte)
}

function ascii(bytes: Buffer, from: number, to: number): string {
  return bytes.toString('latin1', from, to)
}
