import type { FileEdit, Span } from './file-edit.ts'
import { brokenFile, cutSpan, replaceSpan, subtractSpans, zeroSpan } from './file-edit.ts'
import type { Box } from './heif-boxes.ts'
import { boxesIn, boxesOfFile } from './heif-boxes.ts'
import type { HeifItem } from './heif-items.ts'
import { readItems } from './heif-items.ts'

const fileBoxes: ReadonlySet<string> = new Set(['ftyp', 'meta', 'mdat', 'moov'])
const metaBoxes: ReadonlySet<string> = new Set([
  'hdlr',
  'pitm',
  'iinf',
  'iloc',
  'iref',
  'iprp',
  'idat',
  'dinf',
  'grpl',
  'ipro',
])
/** Boxes that describe or hide something, wherever they stand. */
const describingBoxes: ReadonlySet<string> = new Set(['udta', 'uuid', 'free', 'skip', 'meta', 'udes', 'cdtm', 'mdtm'])
const nesting: ReadonlySet<string> = new Set(['iprp', 'ipco', 'trak', 'mdia', 'minf', 'stbl'])
const maxDepth = 8
/** Items that pictures are made of; all others are EXIF, XMP and what else was attached. */
const pictureItems: ReadonlySet<string> = new Set([
  ...['av01', 'hvc1', 'hev1', 'lhv1', 'hvt1', 'avc1', 'vvc1', 'jpeg', 'j2k1', 'unci', 'mski'],
  ...['grid', 'iovl', 'iden', 'tmap'],
])
/** What a dropped item is called afterwards: a type that every reader skips. */
const noType = Buffer.from('skip')

/**
 * Writes zeros over EXIF, XMP, thumbnails and whatever no picture is made of, so that no offset moves, and cuts what follows the
 * last box that is needed (videos of motion photos among it). Orientation is a property of its own (`irot`, `imir`) and stays.
 */
export function heifEdits(bytes: Buffer): FileEdit[] {
  const boxes = boxesOfFile(bytes, fileBoxes)
  const meta = boxes.find(({ type }) => type === 'meta')
  if (!meta || meta.dataAt + 4 > meta.end) throw brokenFile('heif', 'has no picture')
  const children = boxesIn(bytes, meta.dataAt + 4, meta.end)
  const items = readItems(bytes, children)
  const idat = children.find(({ type }) => type === 'idat')
  const kept = items.filter(isPicture).flatMap((item) => spansOf(item, idat, bytes.length))
  const end = lastEnd([...boxes.filter(isNeeded), ...kept])
  const droppable = [
    ...unusedData(boxes, children),
    ...items.filter((item) => !isPicture(item)).flatMap((item) => spansOf(item, idat, bytes.length)),
    ...describing(bytes, boxes, children),
    ...afterBoxes(boxes, end),
  ]
  const renamed = items
    .filter((item) => !isPicture(item) && item.typeAt >= 0)
    .map(({ typeAt }) => replaceSpan({ start: typeAt, end: typeAt + 4 }, noType))
  const afterEnd = { start: end, end: bytes.length }
  const zeroed = subtractSpans(droppable, [...kept, ...renamed, afterEnd]).map(zeroSpan)
  return [...[...renamed, ...zeroed].sort((a, b) => a.start - b.start), cutSpan(end, bytes.length)]
}

const isPicture = (item: HeifItem): boolean => pictureItems.has(item.type) && !item.isThumbnail
const isNeeded = ({ type }: Box): boolean => fileBoxes.has(type)
const dataOf = ({ dataAt, end }: Box): Span => ({ start: dataAt, end })

function lastEnd(spans: readonly Pick<Span, 'end'>[]): number {
  return spans.reduce((last, { end }) => Math.max(last, end), 0)
}

function spansOf({ inFile, inData }: HeifItem, idat: Box | undefined, fileEnd: number): Span[] {
  const inside = (span: Span, from: number, to: number): Span => ({
    start: Math.min(from + span.start, to),
    end: Math.min(from + span.end, to),
  })
  return [
    ...inFile.map((span) => inside(span, 0, fileEnd)),
    ...(idat ? inData.map((span) => inside(span, idat.dataAt, idat.end)) : []),
  ]
}

/** Data boxes, of which everything that no item names goes; the samples of a sequence are named elsewhere. */
function unusedData(boxes: readonly Box[], children: readonly Box[]): Span[] {
  const isSequence = boxes.some(({ type }) => type === 'moov')
  const idat = children.filter(({ type }) => type === 'idat')
  return [...(isSequence ? [] : boxes.filter(({ type }) => type === 'mdat')), ...idat].map(dataOf)
}

/** Contents of boxes that describe, at the places where they may stand. */
function describing(bytes: Buffer, boxes: readonly Box[], children: readonly Box[]): Span[] {
  const spans = [...boxes.filter((box) => !isNeeded(box)), ...children.filter(({ type }) => !metaBoxes.has(type))]
  const within = (box: Box, depth = 0): Box[] =>
    boxesIn(bytes, box.dataAt, box.end).flatMap((child) => {
      if (describingBoxes.has(child.type)) return [child]
      return nesting.has(child.type) && depth < maxDepth ? within(child, depth + 1) : []
    })
  const containers = [...boxes.filter(({ type }) => type === 'moov'), ...children.filter(({ type }) => type === 'iprp')]
  return [...spans, ...containers.flatMap((box) => within(box))].map(dataOf)
}

/** Between the last box and the end of what pictures are made of, which may lie behind it. */
function afterBoxes(boxes: readonly Box[], end: number): Span[] {
  return [{ start: boxes.at(-1)?.end ?? 0, end }]
}
