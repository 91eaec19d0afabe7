import { defineParam } from '../define-param.ts'
import type { ValueType } from '../define-param.ts'
import { readWords } from '../value-types.ts'

/** In the order of their canonical spelling. */
const autoModes = ['compress', 'enhance', 'format'] as const
export type AutoMode = (typeof autoModes)[number]

/** What each word turns on; `redeye` needs a face detector and does nothing. */
const meanings: ReadonlyMap<string, readonly AutoMode[]> = new Map<string, readonly AutoMode[]>([
  ...autoModes.map((mode): [string, readonly AutoMode[]] => [mode, [mode]]),
  ['redeye', []],
  ['true', autoModes],
])

export const autoParams = {
  auto: defineParam({
    type: autoType(),
    category: 'auto',
    summary: 'format: AVIF or WebP where accepted; compress: smaller files; enhance: tone lift. Repetitions add up.',
    fallback: [],
    fallbackText: 'none',
    base64: false,
  }),
}

function autoType(): ValueType<readonly AutoMode[]> {
  const values = [...meanings.keys()]
  return {
    expected: `a comma list of ${values.join(', ')}`,
    values,
    read: (text) => {
      const words = readWords(text)
      const known = words.filter((word) => meanings.has(word))
      if (known.length === 0) return undefined
      const modes = new Set(known.flatMap((word) => meanings.get(word) ?? []))
      return { value: autoModes.filter((mode) => modes.has(mode)), exact: known.length === words.length }
    },
    format: (modes) => modes.join(',') || 'redeye',
    merge: (earlier, later) => autoModes.filter((mode) => earlier.includes(mode) || later.includes(mode)),
  }
}
