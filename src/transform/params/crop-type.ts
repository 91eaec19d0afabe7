import type { ValueType } from './define-param.ts'
import { readWords } from './value-types.ts'

const xAnchors = ['left', 'right'] as const
const yAnchors = ['top', 'bottom'] as const

/** Where fit=crop cuts; an axis without an anchor is centred. */
export type Crop =
  | {
      readonly kind: 'anchor'
      readonly x: (typeof xAnchors)[number] | undefined
      readonly y: (typeof yAnchors)[number] | undefined
    }
  | { readonly kind: 'focalpoint' }
  | { readonly kind: 'entropy' }
  | { readonly kind: 'edges' }

export const centreCrop: Crop = { kind: 'anchor', x: undefined, y: undefined }

/** Documented words that need a detector; they never match, and the next in the list is tried. */
const detectorWords = ['faces', 'auto']
const cropWords = ['top', 'bottom', 'left', 'right', 'center', 'focalpoint', 'entropy', 'edges', ...detectorWords]

/** An ordered list, read as the first of its words that can be carried out. */
export function cropType(): ValueType<Crop> {
  return {
    expected: `a comma list of ${cropWords.join(', ')}`,
    values: cropWords,
    read: (text) => {
      const words = readWords(text)
      const usable = words.filter((word) => cropWords.includes(word))
      if (usable.length === 0) return undefined
      return { value: readCrop(usable), exact: usable.length === words.length }
    },
    format: formatCrop,
  }
}

function readCrop(words: readonly string[]): Crop {
  const first = words.find((word) => !detectorWords.includes(word))
  if (first === 'focalpoint' || first === 'entropy' || first === 'edges') return { kind: first }
  if (first === undefined || first === 'center') return centreCrop
  // The first anchor of each axis; anchors combine wherever they stand, as in `top,faces,left`.
  return {
    kind: 'anchor',
    x: xAnchors.find((anchor) => words.find((word) => word === 'left' || word === 'right') === anchor),
    y: yAnchors.find((anchor) => words.find((word) => word === 'top' || word === 'bottom') === anchor),
  }
}

function formatCrop(crop: Crop): string {
  if (crop.kind !== 'anchor') return crop.kind
  return [crop.y, crop.x].filter((anchor) => anchor !== undefined).join(',') || 'center'
}
