import { byteOf, decodeThumbhash, readHeader, readThumbhash, rgbOf, type RgbaPicture } from './thumbhash.ts'

/** A blurred picture from a thumbhash (base64 or bytes), as the data URL of a PNG. Throws RangeError for what is none. */
export function placeholder(thumbhash: string | Uint8Array): string {
  const png = encodePng(decodeThumbhash(readThumbhash(thumbhash)))
  return `data:image/png;base64,${btoa(String.fromCharCode(...png))}`
}

/** The colour of the whole, `#rrggbb`, or `#rrggbbaa` where it is transparent. */
export function averageColor(thumbhash: string | Uint8Array): string {
  const { l, p, q, a, hasAlpha } = readHeader(readThumbhash(thumbhash))
  const shares = [...rgbOf(l, p, q), ...(hasAlpha ? [a] : [])]
  return `#${shares.map((share) => byteOf(share).toString(16).padStart(2, '0')).join('')}`
}

/** As PNG without compression (stored blocks of RFC 1951): there are a few kB of it. */
function encodePng({ width, height, rgba }: RgbaPicture): number[] {
  const rows = Array.from({ length: height }, (_, y) => [0, ...rgba.subarray(y * width * 4, (y + 1) * width * 4)])
  const raw = rows.flat()
  const length = raw.length
  const stored = [1, length & 255, length >> 8, ~length & 255, (~length >> 8) & 255]
  return [
    ...[137, 80, 78, 71, 13, 10, 26, 10],
    ...chunk('IHDR', [...bytesOf(width), ...bytesOf(height), 8, 6, 0, 0, 0]),
    ...chunk('IDAT', [120, 1, ...stored, ...raw, ...bytesOf(adler32(raw))]),
    ...chunk('IEND', []),
  ]
}

function chunk(type: string, content: readonly number[]): number[] {
  const named = [...Array.from(type, (letter) => letter.charCodeAt(0)), ...content]
  return [...bytesOf(content.length), ...named, ...bytesOf(crc32(named))]
}

/** Big-endian. */
function bytesOf(value: number): number[] {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255)
}

function crc32(bytes: readonly number[]): number {
  let crc = ~0
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0)
  }
  return ~crc
}

function adler32(bytes: readonly number[]): number {
  let [a, b] = [1, 0]
  for (const byte of bytes) {
    a = (a + byte) % 65521
    b = (b + a) % 65521
  }
  return ((b << 16) | a) >>> 0
}
