import type { ValueType } from './define-param.ts'
import { readWords } from './value-types.ts'

/** The modes that can be carried out; `facearea` needs a face detector and is read as its fallback. */
export const fitModes = ['clip', 'max', 'crop', 'fill', 'fillmax', 'clamp', 'min', 'scale'] as const
export type FitMode = (typeof fitModes)[number]

/** `facearea,<fallback>` is read as the fallback. */
export function fitType(): ValueType<FitMode> {
  const known = new Map<string, FitMode>(fitModes.map((mode) => [mode, mode]))
  return {
    expected: `one of ${fitModes.join(', ')}, facearea or facearea,<fallback>`,
    values: [...fitModes, 'facearea'],
    read: (text) => {
      const words = readWords(text)
      const mode = words.map((word) => known.get(word)).find((word) => word !== undefined)
      const exact = words.every((word) => known.has(word) || word === 'facearea')
      if (mode) return { value: mode, exact }
      return words.includes('facearea') ? { value: 'crop', exact } : undefined
    },
    format: (mode) => mode,
  }
}
