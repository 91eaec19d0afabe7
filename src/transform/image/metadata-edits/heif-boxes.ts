import { brokenFile } from './file-edit.ts'

/** A box of ISO/IEC 14496-12, 4.2; `dataAt` is behind its size and type. */
export type Box = { readonly type: string; readonly at: number; readonly dataAt: number; readonly end: number }

/** In one place; a picture of 200 megapixels has less than 2,000 tiles with a box each, malice has millions. */
const maxBoxes = 10_000

const cutShort = 'ends before its image data does'

/** The boxes between two places; throws `undecodable` where one reaches beyond. */
export function boxesIn(bytes: Buffer, from: number, to: number): Box[] {
  const boxes: Box[] = []
  for (let at = from; at < to;) {
    const box = readBox(bytes, at, to)
    if (!box || box.end > to) throw brokenFile('heif', 'has a box that does not fit')
    addBox(boxes, box)
    at = box.end
  }
  return boxes
}

/** The boxes of the file, as far as there are any; what follows them is no box. */
export function boxesOfFile(bytes: Buffer, needed: ReadonlySet<string>): Box[] {
  const boxes: Box[] = []
  for (let at = 0; at < bytes.length;) {
    const box = readBox(bytes, at, bytes.length)
    if (!box) break
    if (box.end > bytes.length) {
      if (needed.has(box.type)) throw brokenFile('heif', cutShort)
      break
    }
    addBox(boxes, box)
    at = box.end
  }
  return boxes
}

function addBox(boxes: Box[], box: Box): void {
  if (boxes.length >= maxBoxes) throw brokenFile('heif', 'has more boxes than a picture needs')
  boxes.push(box)
}

/** Undefined when there is none. A size of 1 follows in 64 bits; one of 0 ends with what is around it. */
function readBox(bytes: Buffer, at: number, to: number): Box | undefined {
  if (at + 8 > to) return undefined
  const short = bytes.readUInt32BE(at)
  const isLong = short === 1
  if (isLong && at + 16 > to) return undefined
  const head = isLong ? 16 : 8
  const size = isLong ? Number(bytes.readBigUInt64BE(at + 8)) : short === 0 ? to - at : short
  if (size < head) return undefined
  return { type: bytes.toString('latin1', at + 4, at + 8), at, dataAt: at + head, end: at + size }
}

/** Reads numbers one after another inside a box; throws `undecodable` at its end. */
export function createBoxReader(bytes: Buffer, from: number, to: number) {
  let at = from
  const take = (length: number): number => {
    if (at + length > to) throw brokenFile('heif', 'has a box that does not fit')
    at += length
    return at - length
  }
  return {
    at: () => at,
    /** Big-endian, of 0 to 8 bytes. */
    number(length: number): number {
      const start = take(length)
      if (length === 0) return 0
      return length === 8 ? Number(bytes.readBigUInt64BE(start)) : bytes.readUIntBE(start, length)
    },
    text: (length: number): string => bytes.toString('latin1', take(length), at),
  }
}
