import { brokenFile } from './file-edit.ts'
import type { Span } from './file-edit.ts'
import type { Box } from './heif-boxes.ts'
import { boxesIn, createBoxReader } from './heif-boxes.ts'

/** An item of a HEIF file; `typeAt` is where its four letters stand. */
export type HeifItem = {
  readonly type: string
  readonly typeAt: number
  /** Parts of the file that it is made of. */
  readonly inFile: readonly Span[]
  /** Parts of the item data box, from where its data begins. */
  readonly inData: readonly Span[]
  /** A smaller picture of another item. */
  readonly isThumbnail: boolean
}

type Place = Pick<HeifItem, 'inFile' | 'inData'>

/** The items that a `meta` box (given by its children) declares (ISO/IEC 14496-12, 8.11). */
export function readItems(bytes: Buffer, children: readonly Box[]): HeifItem[] {
  const find = (type: string): Box | undefined => children.find((box) => box.type === type)
  const [iinf, iloc, iref, pitm] = ['iinf', 'iloc', 'iref', 'pitm'].map(find)
  if (!iinf || !iloc) throw brokenFile('heif', 'does not say where its items are')
  const places = readPlaces(bytes, iloc)
  const thumbnails = iref ? readThumbnails(bytes, iref) : new Set<number>()
  if (pitm) thumbnails.delete(readPrimary(bytes, pitm))
  return readInfos(bytes, iinf).map(({ id, ...info }) => ({
    ...info,
    ...(places.get(id) ?? { inFile: [], inData: [] }),
    isThumbnail: thumbnails.has(id),
  }))
}

function readPrimary(bytes: Buffer, { dataAt, end }: Box): number {
  const reader = createBoxReader(bytes, dataAt, end)
  return reader.number(4) >= 0x01000000 ? reader.number(4) : reader.number(2)
}

function readInfos(
  bytes: Buffer,
  { dataAt, end }: Box,
): (Pick<HeifItem, 'type' | 'typeAt'> & { readonly id: number })[] {
  const reader = createBoxReader(bytes, dataAt, end)
  const version = reader.number(1)
  reader.number(3)
  reader.number(version === 0 ? 2 : 4)
  return boxesIn(bytes, reader.at(), end)
    .filter(({ type }) => type === 'infe')
    .map((box) => {
      const entry = createBoxReader(bytes, box.dataAt, box.end)
      const entryVersion = entry.number(1)
      entry.number(3)
      // Before version 2 an item has no type, only a media type: it is no picture.
      const id = entry.number(entryVersion === 3 ? 4 : 2)
      entry.number(2)
      const typeAt = entry.at()
      return entryVersion < 2 ? { id, type: '', typeAt: -1 } : { id, type: entry.text(4), typeAt }
    })
}

/** Item location (8.11.3): method 0 counts from the start of the file, 1 inside the item data box. */
function readPlaces(bytes: Buffer, { dataAt, end }: Box): Map<number, Place> {
  const reader = createBoxReader(bytes, dataAt, end)
  const version = reader.number(1)
  reader.number(3)
  const sizes = reader.number(2)
  const [offsetBytes, lengthBytes, baseBytes] = [sizes >> 12, (sizes >> 8) & 15, (sizes >> 4) & 15] as const
  const indexBytes = version === 0 ? 0 : sizes & 15
  if ([offsetBytes, lengthBytes, baseBytes, indexBytes].some((size) => ![0, 4, 8].includes(size))) {
    throw brokenFile('heif', 'has item locations of no known size')
  }
  const places = new Map<number, Place>()
  for (let left = reader.number(version < 2 ? 2 : 4); left > 0; left--) {
    const id = reader.number(version < 2 ? 2 : 4)
    const method = version === 0 ? 0 : reader.number(2) & 15
    reader.number(2)
    const base = reader.number(baseBytes)
    const count = reader.number(2)
    if (count > 1 && offsetBytes + lengthBytes + indexBytes === 0) throw brokenFile('heif', 'has items without a place')
    const spans = Array.from({ length: count }, () => {
      reader.number(indexBytes)
      const start = base + reader.number(offsetBytes)
      const length = reader.number(lengthBytes)
      return { start, end: length === 0 ? Infinity : start + length }
    })
    places.set(id, { inFile: method === 0 ? spans : [], inData: method === 1 ? spans : [] })
  }
  return places
}

function readThumbnails(bytes: Buffer, { dataAt, end }: Box): Set<number> {
  const reader = createBoxReader(bytes, dataAt, end)
  const idBytes = reader.number(1) === 0 ? 2 : 4
  reader.number(3)
  return new Set(
    boxesIn(bytes, reader.at(), end)
      .filter(({ type }) => type === 'thmb')
      .map((box) => createBoxReader(bytes, box.dataAt, box.end).number(idBytes)),
  )
}
