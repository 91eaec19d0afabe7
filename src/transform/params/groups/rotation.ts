import type { Orientation } from '../../image/image-metadata.ts'
import { defineParam } from '../define-param.ts'
import type { ValueType } from '../define-param.ts'
import { oneOf } from '../value-types.ts'

/** EXIF codes, 0 for "as stored", and clockwise degrees. */
const orientations: ReadonlyMap<string, Orientation> = new Map([
  ['0', 1],
  ['1', 1],
  ['2', 2],
  ['3', 3],
  ['4', 4],
  ['5', 5],
  ['6', 6],
  ['7', 7],
  ['8', 8],
  ['90', 6],
  ['180', 3],
  ['270', 8],
])

export const rotationParams = {
  orient: defineParam({
    type: orientType(),
    category: 'rotation',
    summary: 'Orientation used instead of EXIF: its codes 1 to 8, 0 for as stored, or 90, 180, 270 degrees clockwise.',
    aliases: ['or'],
    fallbackText: 'EXIF orientation',
  }),
  flip: defineParam({
    type: oneOf(['h', 'v', 'hv'], { vh: 'hv' }),
    category: 'rotation',
    summary: 'Mirrors the result: h left to right, v top to bottom, hv both.',
  }),
}

function orientType(): ValueType<Orientation> {
  const values = [...orientations.keys()]
  return {
    expected: `one of ${values.join(', ')}`,
    values,
    read: (text) => {
      const value = orientations.get(text)
      return value && { value, exact: true }
    },
    format: String,
  }
}
