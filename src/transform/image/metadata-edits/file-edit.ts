import { AppError } from '../../../errors.ts'
import type { InputFormat } from '../formats.ts'
import type { ByteEdit } from '../image-facts.ts'

/** Bytes from `start` to before `end`. */
export type Span = { readonly start: number; readonly end: number }

/** A `ByteEdit` before it is packed. */
export type FileEdit = Span & { readonly bytes: Buffer }

const nothing = Buffer.alloc(0)

export function cutSpan(start: number, end: number): FileEdit {
  return { start, end, bytes: nothing }
}

export function replaceSpan({ start, end }: Span, bytes: Buffer): FileEdit {
  return { start, end, bytes }
}

export function zeroSpan({ start, end }: Span): FileEdit {
  return { start, end, bytes: Buffer.alloc(end - start) }
}

/** No file that a camera or program writes needs more; damage and malice do. */
const maxEdits = 10_000

/** Collects edits in the order of the file, touching cuts as one. Throws `undecodable` when there are too many. */
export function createEditList(format: InputFormat) {
  const edits: FileEdit[] = []
  const add = (edit: FileEdit): void => {
    const last = edits.at(-1)
    const isMore = last !== undefined && last.end === edit.start && last.bytes.length + edit.bytes.length === 0
    if (isMore) edits.pop()
    edits.push(isMore ? cutSpan(last.start, edit.end) : edit)
    if (edits.length > maxEdits) throw brokenFile(format, 'has more parts than can be taken out')
  }
  return { edits, add }
}

/** How many bytes the file grows by. */
export function growthOf(edits: readonly FileEdit[]): number {
  return edits.reduce((sum, { start, end, bytes }) => sum + bytes.length - (end - start), 0)
}

export function packEdits(edits: readonly FileEdit[]): ByteEdit[] {
  return edits
    .filter(({ start, end, bytes }) => end > start || bytes.length > 0)
    .map(({ start, end, bytes }) => ({ start, end, bytes: bytes.toString('base64') }))
}

/** The file with edits made that are in order and do not overlap. */
export function editFile(bytes: Buffer, edits: readonly FileEdit[]): Buffer {
  const pieces: Buffer[] = []
  let at = 0
  for (const edit of edits) {
    pieces.push(bytes.subarray(at, edit.start), edit.bytes)
    at = edit.end
  }
  return Buffer.concat([...pieces, bytes.subarray(at)])
}

/** In ascending order, touching and overlapping ones made one. */
export function mergeSpans(spans: readonly Span[]): Span[] {
  const merged: { start: number; end: number }[] = []
  for (const { start, end } of spans.filter((span) => span.end > span.start).sort((a, b) => a.start - b.start)) {
    const last = merged.at(-1)
    if (last && start <= last.end) last.end = Math.max(last.end, end)
    else merged.push({ start, end })
  }
  return merged
}

/** What of `spans` lies in none of `kept`. */
export function subtractSpans(spans: readonly Span[], kept: readonly Span[]): Span[] {
  const holes = mergeSpans(kept)
  const rest: Span[] = []
  let index = 0
  for (const span of mergeSpans(spans)) {
    let { start } = span
    while (index < holes.length && (holes[index]?.end ?? 0) <= start) index++
    for (let next = index; next < holes.length; next++) {
      const hole = holes[next]
      if (!hole || hole.start >= span.end) break
      if (hole.start > start) rest.push({ start, end: hole.start })
      start = Math.max(start, hole.end)
      index = next
    }
    if (start < span.end) rest.push({ start, end: span.end })
  }
  return rest
}

/** The error for a file whose structure does not hold. */
export function brokenFile(format: InputFormat | 'heif', how: string): AppError {
  return new AppError('undecodable', { detail: `The ${format.toUpperCase()} ${how}` })
}
