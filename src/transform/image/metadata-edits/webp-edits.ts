import type { Orientation } from '../image-metadata.ts'
import type { FileEdit } from './file-edit.ts'
import { brokenFile, createEditList, cutSpan, growthOf, replaceSpan } from './file-edit.ts'
import { orientationExif } from './orientation-exif.ts'

type Chunk = {
  readonly start: number
  readonly dataAt: number
  readonly dataEnd: number
  readonly end: number
  readonly type: string
}

const riffHead = 12
const chunkHead = 8
/** Position, size, duration and flags of a frame come before its chunks. */
const frameHead = 16
const exifFlag = 0x08
const xmpFlag = 0x04

const bitstreams: ReadonlySet<string> = new Set(['VP8 ', 'VP8L'])
const keptChunks: ReadonlySet<string> = new Set(['VP8 ', 'VP8L', 'VP8X', 'ANIM', 'ANMF', 'ALPH', 'ICCP'])
const frameChunks: ReadonlySet<string> = new Set(['VP8 ', 'VP8L', 'ALPH'])

/** Leaves bitstreams, alpha, frames and the ICC profile, in files and frames alike; sizes and flags are made to fit. */
export function webpEdits(bytes: Buffer, orientation: Orientation): FileEdit[] {
  const riffEnd = bytes.length >= riffHead ? bytes.readUInt32LE(4) + 8 : 0
  // The padding of the last chunk is forgotten by some writers.
  if (riffEnd > bytes.length + 1 || riffEnd < riffHead) throw brokenFile('webp', 'ends before its image data does')
  const fileEnd = Math.min(riffEnd, bytes.length)
  const { edits, add } = createEditList('webp')
  let needsOrientation = orientation !== 1
  for (const chunk of chunksIn(bytes, riffHead, fileEnd)) {
    if (!keptChunks.has(chunk.type)) {
      const rewrites = chunk.type === 'EXIF' && needsOrientation
      add(
        rewrites
          ? replaceSpan(chunk, riffChunk('EXIF', orientationExif(orientation)))
          : cutSpan(chunk.start, chunk.end),
      )
      needsOrientation &&= !rewrites
    } else if (chunk.type === 'VP8X') editFlags(bytes, chunk, orientation !== 1).forEach(add)
    else if (chunk.type === 'ANMF') editFrame(bytes, chunk).forEach(add)
    else if (chunk.start === riffHead && bitstreams.has(chunk.type)) {
      // Without VP8X a file is this one chunk.
      add(cutSpan(chunk.end, fileEnd))
      break
    }
  }
  add(cutSpan(fileEnd, bytes.length))
  return withSize(bytes, edits)
}

function* chunksIn(bytes: Buffer, from: number, to: number): Generator<Chunk> {
  for (let at = from; at < to;) {
    if (at + chunkHead > to) throw brokenFile('webp', 'has a chunk that does not fit')
    const dataAt = at + chunkHead
    const dataEnd = dataAt + bytes.readUInt32LE(at + 4)
    if (dataEnd > to) throw brokenFile('webp', 'has a chunk that does not fit')
    const end = Math.min(dataEnd + ((dataEnd - dataAt) % 2), to)
    yield { start: at, dataAt, dataEnd, end, type: bytes.toString('latin1', at, at + 4) }
    at = end
  }
}

function editFlags(bytes: Buffer, { dataAt, dataEnd }: Chunk, hasExif: boolean): FileEdit[] {
  if (dataEnd === dataAt) throw brokenFile('webp', 'has an empty header')
  const flags = (bytes[dataAt] ?? 0) & ~(xmpFlag | (hasExif ? 0 : exifFlag))
  return flags === bytes[dataAt] ? [] : [replaceSpan({ start: dataAt, end: dataAt + 1 }, Buffer.from([flags]))]
}

/** Chunks inside a frame that are none of a picture. */
function editFrame(bytes: Buffer, { start, dataAt, dataEnd }: Chunk): FileEdit[] {
  if (dataEnd - dataAt < frameHead) throw brokenFile('webp', 'has a frame that does not fit')
  const cuts = [...chunksIn(bytes, dataAt + frameHead, dataEnd)]
    .filter(({ type }) => !frameChunks.has(type))
    .map((chunk) => cutSpan(chunk.start, chunk.end))
  if (cuts.length === 0) return []
  return [replaceSpan({ start: start + 4, end: start + 8 }, sizeField(dataEnd - dataAt + growthOf(cuts))), ...cuts]
}

function withSize(bytes: Buffer, edits: readonly FileEdit[]): FileEdit[] {
  const size = bytes.length + growthOf(edits) - 8
  return size === bytes.readUInt32LE(4) ? [...edits] : [replaceSpan({ start: 4, end: 8 }, sizeField(size)), ...edits]
}

function riffChunk(type: string, data: Buffer): Buffer {
  return Buffer.concat([Buffer.from(type), sizeField(data.length), data, Buffer.alloc(data.length % 2)])
}

function sizeField(size: number): Buffer {
  const field = Buffer.alloc(4)
  field.writeUInt32LE(size)
  return field
}
