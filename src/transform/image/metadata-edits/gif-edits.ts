import type { FileEdit } from './file-edit.ts'
import { brokenFile, createEditList, cutSpan, replaceSpan } from './file-edit.ts'

/** GIF89a, section 15 to 27. */
const introducer = { image: 0x2c, extension: 0x21, trailer: 0x3b }
const label = { graphicControl: 0xf9, application: 0xff }
const screenEnd = 13
const loopBlocks: ReadonlySet<string> = new Set(['NETSCAPE2.0', 'ANIMEXTS1.0'])

/** Leaves frames, their timing and the loop count; comments, plain text, other extensions and what follows the end go. */
export function gifEdits(bytes: Buffer): FileEdit[] {
  const { edits, add } = createEditList('gif')
  let at = screenEnd + tableLength(byteAt(bytes, 10))
  // Many writers forget the trailer, and every decoder forgives it.
  while (at < bytes.length) {
    const start = at
    switch (byteAt(bytes, at)) {
      case introducer.trailer:
        add(cutSpan(at + 1, bytes.length))
        return edits
      case introducer.image:
        at = blocksEnd(bytes, at + 11 + tableLength(byteAt(bytes, at + 9)))
        break
      case introducer.extension: {
        at = blocksEnd(bytes, at + 2)
        const edit = editExtension(bytes, start, at)
        if (edit) add(edit)
        break
      }
      default:
        throw brokenFile('gif', 'has a block of no known kind')
    }
  }
  return edits
}

function byteAt(bytes: Buffer, at: number): number {
  const byte = bytes[at]
  if (byte === undefined) throw brokenFile('gif', 'ends before its image data does')
  return byte
}

function tableLength(flags: number): number {
  return flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0
}

/** Behind the zero that ends a chain of data blocks. */
function blocksEnd(bytes: Buffer, from: number): number {
  let at = from
  for (let length = byteAt(bytes, at); length > 0; length = byteAt(bytes, at)) at += length + 1
  return at + 1
}

/** Undefined keeps it as it is. A loop count is one data block: 1 and two bytes. */
function editExtension(bytes: Buffer, start: number, end: number): FileEdit | undefined {
  if (bytes[start + 1] === label.graphicControl && bytes[start + 2] === 4) {
    return end === start + 8 ? undefined : cutSpan(start + 7, end - 1)
  }
  const isLoop =
    bytes[start + 1] === label.application &&
    bytes[start + 2] === 11 &&
    loopBlocks.has(bytes.toString('latin1', start + 3, start + 14))
  if (!isLoop || bytes[start + 14] !== 3 || bytes[start + 15] !== 1) return cutSpan(start, end)
  return end === start + 19 ? undefined : replaceSpan({ start: start + 18, end }, Buffer.alloc(1))
}
