import type { Orientation } from '../image-metadata.ts'
import type { FileEdit } from './file-edit.ts'
import { brokenFile, createEditList, cutSpan, replaceSpan } from './file-edit.ts'
import { orientationExif } from './orientation-exif.ts'

type Segment = { readonly start: number; readonly end: number; readonly code: number; readonly payload: Buffer }
type Seen = { jfif: boolean; orientation: boolean }

/** Markers (ITU-T T.81, table B.1). */
const marker = { sof0: 0xc0, rst0: 0xd0, rst7: 0xd7, soi: 0xd8, eoi: 0xd9, sos: 0xda, dqt: 0xdb, dri: 0xdd, tem: 0x01 }
const app0 = 0xe0
const app1 = 0xe1
const app2 = 0xe2
const app14 = 0xee
const jfifLength = 14

/**
 * Leaves what decoding needs (tables, frames, scans), JFIF without its thumbnail, the ICC profile and Adobe's colour transform.
 * All else goes: EXIF, XMP, IPTC, comments, MPF, gain maps, and whatever follows the end of the picture.
 */
export function jpegEdits(bytes: Buffer, orientation: Orientation): FileEdit[] {
  const { edits, add } = createEditList('jpeg')
  const seen: Seen = { jfif: false, orientation: orientation === 1 }
  let at = 2
  for (;;) {
    const { start, code, end } = nextMarker(bytes, at)
    if (start > at) add(cutSpan(at, start))
    if (code === marker.eoi) {
      add(cutSpan(end, bytes.length))
      return edits
    }
    at = end
    if (isStandalone(code)) continue
    const segment = readSegment(bytes, start, code)
    const edit = editSegment(segment, orientation, seen)
    if (edit) add(edit)
    at = code === marker.sos ? scanEnd(bytes, segment.end) : segment.end
  }
}

/** The next marker, without the fill bytes before it; zero after 0xff is no marker. */
function nextMarker(bytes: Buffer, from: number): { start: number; code: number; end: number } {
  let at = from
  for (;;) {
    at = bytes.indexOf(0xff, at)
    if (at === -1) throw brokenFile('jpeg', 'ends before its image data does')
    while (bytes[at + 1] === 0xff) at++
    const code = bytes[at + 1]
    if (code === undefined) throw brokenFile('jpeg', 'ends before its image data does')
    if (code !== 0) return { start: at, code, end: at + 2 }
    at += 2
  }
}

function isStandalone(code: number): boolean {
  if (code === marker.soi) throw brokenFile('jpeg', 'begins twice')
  return code === marker.tem || (code >= marker.rst0 && code <= marker.rst7)
}

function readSegment(bytes: Buffer, start: number, code: number): Segment {
  const length = start + 4 <= bytes.length ? bytes.readUInt16BE(start + 2) : 0
  const end = start + 2 + length
  if (length < 2 || end > bytes.length) throw brokenFile('jpeg', 'has a segment that does not fit')
  return { start, end, code, payload: bytes.subarray(start + 4, end) }
}

/** Undefined keeps the segment as it is. */
function editSegment(segment: Segment, orientation: Orientation, seen: Seen): FileEdit | undefined {
  const { code, payload, start, end } = segment
  if (isDecoding(code)) return undefined
  if (code === app0 && startsWith(payload, 'JFIF\0') && payload.length >= jfifLength && !seen.jfif) {
    seen.jfif = true
    return payload.length === jfifLength ? undefined : replaceSpan(segment, withoutThumbnail(payload))
  }
  if (code === app2 && startsWith(payload, 'ICC_PROFILE\0')) return undefined
  if (code === app14 && startsWith(payload, 'Adobe') && payload.length === 12) return undefined
  if (code === app1 && startsWith(payload, 'Exif\0') && !seen.orientation) {
    seen.orientation = true
    return replaceSpan(segment, applicationSegment(app1, Buffer.from('Exif\0\0'), orientationExif(orientation)))
  }
  return cutSpan(start, end)
}

/** Frames, tables and scans: 0xc0 to 0xcf but for the reserved 0xc8, and SOS to DRI. */
function isDecoding(code: number): boolean {
  return (code >= marker.sof0 && code < marker.rst0 && code !== 0xc8) || (code >= marker.sos && code <= marker.dri)
}

function withoutThumbnail(jfif: Buffer): Buffer {
  const head = Buffer.from(jfif.subarray(0, jfifLength))
  head.fill(0, 12)
  return applicationSegment(app0, head)
}

function applicationSegment(code: number, ...parts: readonly Buffer[]): Buffer {
  const payload = Buffer.concat(parts)
  const head = Buffer.from([0xff, code, 0, 0])
  head.writeUInt16BE(payload.length + 2, 2)
  return Buffer.concat([head, payload])
}

/** Where entropy-coded data ends: at the first marker that is neither a restart nor a stuffed byte. */
function scanEnd(bytes: Buffer, from: number): number {
  for (let at = bytes.indexOf(0xff, from); at !== -1; at = bytes.indexOf(0xff, at)) {
    const next = bytes[at + 1]
    if (next === undefined) break
    if (next === 0xff) at += 1
    else if (next === 0 || (next >= marker.rst0 && next <= marker.rst7)) at += 2
    else return at
  }
  throw brokenFile('jpeg', 'ends before its image data does')
}

function startsWith(bytes: Buffer, text: string): boolean {
  return bytes.toString('latin1', 0, text.length) === text
}
