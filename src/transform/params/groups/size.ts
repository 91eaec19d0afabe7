import { centreCrop, cropType } from '../crop-type.ts'
import { defineParam } from '../define-param.ts'
import { fitType } from '../fit-type.ts'
import { rectType } from '../rect-type.ts'
import { integer, length, MAX_SIDE, ratio } from '../value-types.ts'

export const sizeParams = {
  w: defineParam({
    type: length(),
    category: 'size',
    summary: 'Width of the result in px before dpr, or as a share of the source; alone, the height follows the aspect.',
    aliases: ['width'],
    fallbackText: 'width of the source',
  }),
  h: defineParam({
    type: length(),
    category: 'size',
    summary: 'Height of the result in px before dpr, or as a share of the source; alone, the width follows the aspect.',
    aliases: ['height'],
    fallbackText: 'height of the source',
  }),
  fit: defineParam({
    type: fitType(),
    category: 'size',
    summary: 'How the picture meets the box of w and h. facearea takes a list: its fallback is used, or crop.',
    aliases: ['f'],
    fallback: 'clip',
  }),
  crop: defineParam({
    type: cropType(),
    category: 'size',
    summary: 'Where fit=crop cuts, in order of preference; faces never matches, as there is no face detector.',
    fallback: centreCrop,
    fallbackText: 'center',
    requires: { fit: ['crop'] },
  }),
  ar: defineParam({
    type: ratio(),
    category: 'size',
    summary:
      'Aspect ratio that gives the missing side, for fit=crop and fit=fill; without effect when w and h are both there.',
    requires: { fit: ['crop', 'fill'] },
  }),
  rect: defineParam({
    type: rectType(),
    category: 'size',
    summary: 'Region x,y,w,h of the upright source that is cut out before anything else; what lies outside is dropped.',
    fallbackText: 'whole picture',
  }),
  'max-w': boundary('max-width', 'Upper limit of a width that is not given, for fit=crop; the rest is cut off.'),
  'max-h': boundary('max-height', 'Upper limit of a height that is not given, for fit=crop; the rest is cut off.'),
  'min-w': boundary('min-width', 'Lower limit of a width that is not given, for fit=crop.'),
  'min-h': boundary('min-height', 'Lower limit of a height that is not given, for fit=crop.'),
}

function boundary(alias: string, summary: string) {
  const type = integer({ min: 1, max: MAX_SIDE })
  return defineParam({ type, category: 'size', summary, aliases: [alias], requires: { fit: ['crop'] } })
}
