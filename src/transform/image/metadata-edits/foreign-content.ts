import type { Span } from './file-edit.ts'

/** Something that another program would take the file for. */
type Foreign = { readonly what: string; readonly isIn: (bytes: Buffer, dropped: readonly Span[]) => boolean }

const zipTail = 22 + 65_535
/** Readers look for the header of a PDF here. */
const pdfHead = 1024

const foreign: readonly Foreign[] = [
  { what: 'a ZIP archive', isIn: (bytes, dropped) => hasZipDirectory(bytes) || has(dropped, bytes, 'PK\x03\x04') },
  { what: 'a RAR archive', isIn: (bytes, dropped) => has(dropped, bytes, 'Rar!\x1a\x07') },
  { what: 'a 7z archive', isIn: (bytes, dropped) => has(dropped, bytes, '7z\xbc\xaf\x27\x1c') },
  {
    what: 'a PDF',
    isIn: (bytes, dropped) =>
      find(bytes, [{ start: 0, end: pdfHead }, ...dropped], '%PDF-', (at) => isDigit(bytes[at + 5])),
  },
  { what: 'an ELF program', isIn: (bytes, dropped) => find(bytes, dropped, '\x7fELF', (at) => isElfHeader(bytes, at)) },
  { what: 'a Windows program', isIn: (bytes, dropped) => find(bytes, dropped, 'MZ', (at) => isPeHeader(bytes, at)) },
  // Servers that run PHP look for it in the whole file, whatever it is besides.
  {
    what: 'PHP code',
    isIn: (bytes) => find(bytes, [{ start: 0, end: bytes.length }], '<?php', (at) => isSpace(bytes[at + 5])),
  },
  {
    what: 'a script',
    isIn: (bytes, dropped) =>
      dropped.some((span) => matches(bytes, span, /<script[\s/>]/i) || startsScript(bytes, span)),
  },
  {
    what: 'an HTML page',
    isIn: (bytes, dropped) => dropped.some((span) => matches(bytes, span, /<!doctype\s+html|<html[\s/>]/i)),
  },
]

/**
 * What a picture is besides a picture, in words for its uploader; undefined when it is nothing else. `dropped` is what taking its
 * metadata takes away: what pixels are made of cannot be anything else but by chance. Other pictures and videos are not foreign.
 */
export function findForeignContent(bytes: Buffer, dropped: readonly Span[]): string | undefined {
  return foreign.find(({ isIn }) => isIn(bytes, dropped))?.what
}

function has(spans: readonly Span[], bytes: Buffer, mark: string): boolean {
  return find(bytes, spans, mark, () => true)
}

function find(bytes: Buffer, spans: readonly Span[], mark: string, confirms: (at: number) => boolean): boolean {
  return spans.some(({ start, end }) => {
    const part = bytes.subarray(start, end)
    for (let at = part.indexOf(mark, 0, 'latin1'); at !== -1; at = part.indexOf(mark, at + 1, 'latin1')) {
      if (confirms(start + at)) return true
    }
    return false
  })
}

function matches(bytes: Buffer, { start, end }: Span, pattern: RegExp): boolean {
  return pattern.test(bytes.toString('latin1', start, end))
}

/** A ZIP is read from its end: the directory must be where the end record says (APPNOTE 4.3.16), or before it. */
function hasZipDirectory(bytes: Buffer): boolean {
  const tail = { start: Math.max(0, bytes.length - zipTail), end: bytes.length }
  return find(bytes, [tail], 'PK\x05\x06', (at) => {
    if (at + 22 > bytes.length) return false
    const [size, offset] = [bytes.readUInt32LE(at + 12), bytes.readUInt32LE(at + 16)]
    return [at - size, offset].some(
      (place) => place >= 0 && bytes.toString('latin1', place, place + 4) === 'PK\x01\x02',
    )
  })
}

/** Class, byte order and version. */
function isElfHeader(bytes: Buffer, at: number): boolean {
  return [1, 2].includes(bytes[at + 4] ?? 0) && [1, 2].includes(bytes[at + 5] ?? 0) && bytes[at + 6] === 1
}

function isPeHeader(bytes: Buffer, at: number): boolean {
  if (at + 64 > bytes.length) return false
  const header = at + bytes.readUInt32LE(at + 60)
  return bytes.toString('latin1', header, header + 4) === 'PE\0\0'
}

function startsScript(bytes: Buffer, { start, end }: Span): boolean {
  return /^#! ?\/(?:usr\/)?bin\//.test(bytes.toString('latin1', start, Math.min(end, start + 32)))
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39
}

function isSpace(byte: number | undefined): boolean {
  return byte !== undefined && [0x09, 0x0a, 0x0d, 0x20].includes(byte)
}
