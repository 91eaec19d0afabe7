import type { ByteEdit } from '../transform/image/image-facts.ts'

/** The bytes with every edit made; edits are in order and do not overlap. */
export function applyEdits(bytes: Buffer, edits: readonly ByteEdit[]): Buffer {
  if (edits.length === 0) return bytes
  const pieces: Buffer[] = []
  let at = 0
  for (const edit of edits) {
    if (edit.start < at || edit.end < edit.start || edit.end > bytes.length)
      throw new Error('edits overlap or lie outside')
    pieces.push(bytes.subarray(at, edit.start), Buffer.from(edit.bytes, 'base64'))
    at = edit.end
  }
  pieces.push(bytes.subarray(at))
  return Buffer.concat(pieces)
}
