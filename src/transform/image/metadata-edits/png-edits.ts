import { crc32 } from 'node:zlib'
import type { Orientation } from '../image-metadata.ts'
import type { FileEdit } from './file-edit.ts'
import { brokenFile, createEditList, cutSpan, replaceSpan } from './file-edit.ts'
import { orientationExif } from './orientation-exif.ts'

const signatureLength = 8
/** Length, type and checksum around the data of a chunk. */
const chunkFrame = 12

/** Chunks that say how pixels look or move (PNG third edition, 11); further critical ones make a file undecodable anyway. */
const keptChunks: ReadonlySet<string> = new Set([
  ...['IHDR', 'PLTE', 'IDAT', 'IEND', 'tRNS', 'acTL', 'fcTL', 'fdAT'],
  ...['gAMA', 'cHRM', 'sRGB', 'iCCP', 'sBIT', 'cICP', 'mDCV', 'cLLI', 'bKGD', 'pHYs'],
])

/** Leaves pixels, colours, transparency and frames; text, times, EXIF, unknown chunks and whatever follows the end go. */
export function pngEdits(bytes: Buffer, orientation: Orientation): FileEdit[] {
  const { edits, add } = createEditList('png')
  let needsOrientation = orientation !== 1
  let at = signatureLength
  while (at + chunkFrame <= bytes.length) {
    const type = bytes.toString('latin1', at + 4, at + 8)
    const end = at + chunkFrame + bytes.readUInt32BE(at)
    if (end > bytes.length) break
    if (type === 'IEND') {
      add(cutSpan(end, bytes.length))
      return edits
    }
    if (!keptChunks.has(type)) {
      const rewrites = type === 'eXIf' && needsOrientation
      add(rewrites ? replaceSpan({ start: at, end }, exifChunk(orientation)) : cutSpan(at, end))
      needsOrientation &&= !rewrites
    }
    at = end
  }
  throw brokenFile('png', 'ends before its image data does')
}

function exifChunk(orientation: Orientation): Buffer {
  const body = Buffer.concat([Buffer.from('eXIf'), orientationExif(orientation)])
  const chunk = Buffer.alloc(body.length + 8)
  chunk.writeUInt32BE(body.length - 4, 0)
  body.copy(chunk, 4)
  chunk.writeUInt32BE(crc32(body), body.length + 4)
  return chunk
}
