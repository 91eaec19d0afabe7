/** One field of a directory; `valueAt` is where its values are, inside the field when they fit. */
export type TiffField = {
  readonly tag: number
  readonly type: number
  readonly count: number
  readonly at: number
  readonly valueAt: number
  readonly valueEnd: number
}

export type TiffDirectory = {
  readonly at: number
  /** Behind the pointer to the next directory. */
  readonly end: number
  readonly fields: readonly TiffField[]
  /** 0 is none. */
  readonly nextAt: number
}

/** Reads TIFF structures: whole files, BigTIFF too, and EXIF blocks. What lies outside the bytes is undefined, never an error. */
export interface TiffReader {
  readonly isBig: boolean
  readonly firstAt: number
  directory(at: number): TiffDirectory | undefined
  /** Unsigned integers of a field, at most `limit`; empty for other types and none. */
  numbers(field: TiffField | undefined, limit: number): number[]
  /** The bytes of `count`, fields and pointer as they would stand in the file. */
  write(fields: readonly TiffField[], nextAt: number): Buffer
}

const typeBytes = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8]

/** Undefined when it does not begin as a TIFF does. */
export function openTiff(bytes: Buffer): TiffReader | undefined {
  const order = bytes.toString('latin1', 0, 2)
  if ((order !== 'II' && order !== 'MM') || bytes.length < 16) return undefined
  const isLittle = order === 'II'
  const u16 = (at: number): number => (isLittle ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at))
  const u32 = (at: number): number => (isLittle ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at))
  const u64 = (at: number): number => Number(isLittle ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at))
  const version = u16(2)
  if (version !== 42 && version !== 43) return undefined
  const isBig = version === 43
  const word = isBig ? u64 : u32
  const wordBytes = isBig ? 8 : 4
  const countBytes = isBig ? 8 : 2
  const fieldBytes = isBig ? 20 : 12

  function field(at: number): TiffField {
    const [type, count] = [u16(at + 2), word(at + 4)]
    const inlineAt = at + 4 + wordBytes
    const length = count * (typeBytes[type] ?? 0)
    const valueAt = length <= wordBytes ? inlineAt : word(inlineAt)
    return { tag: u16(at), type, count, at, valueAt, valueEnd: valueAt + length }
  }
  return {
    isBig,
    firstAt: word(isBig ? 8 : 4),
    directory(at) {
      if (at < 8 || at + countBytes > bytes.length) return undefined
      const count = isBig ? u64(at) : u16(at)
      const end = at + countBytes + count * fieldBytes + wordBytes
      if (end > bytes.length) return undefined
      const fields = Array.from({ length: count }, (_, index) => field(at + countBytes + index * fieldBytes))
      return { at, end, fields, nextAt: word(end - wordBytes) }
    },
    numbers(field, limit) {
      if (!field) return []
      const { type, count, valueAt, valueEnd } = field
      const read = { 1: (at: number) => bytes.readUInt8(at), 3: u16, 4: u32, 13: u32, 16: u64, 18: u64 }[type]
      if (!read || valueEnd > bytes.length) return []
      const size = typeBytes[type] ?? 1
      return Array.from({ length: Math.min(count, limit) }, (_, index) => read(valueAt + index * size))
    },
    write(fields, nextAt) {
      const out = Buffer.alloc(countBytes + fields.length * fieldBytes + wordBytes)
      writeNumber(out, fields.length, 0, countBytes, isLittle)
      for (const [index, { at }] of fields.entries()) {
        bytes.copy(out, countBytes + index * fieldBytes, at, at + fieldBytes)
      }
      writeNumber(out, nextAt, out.length - wordBytes, wordBytes, isLittle)
      return out
    },
  }
}

function writeNumber(out: Buffer, value: number, at: number, length: number, isLittle: boolean): void {
  // Six bytes are the most that Node writes at once, and more than any file here needs.
  const used = Math.min(length, 6)
  if (isLittle) out.writeUIntLE(value, at, used)
  else out.writeUIntBE(value, at + length - used, used)
}
