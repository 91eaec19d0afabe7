import { defineParam } from '../define-param.ts'
import { color, oneOf } from '../value-types.ts'

const fillFits = ['fill', 'fillmax']

export const fillParams = {
  bg: defineParam({
    type: color(),
    category: 'fill',
    summary: 'Colour under transparent pixels and, without fill-color, in the gaps of fit=fill.',
    fallbackText: 'transparent where the output has alpha, else white',
  }),
  fill: defineParam({
    // Gradients and generative fills are not there; solid is what imgix falls back to as well.
    type: oneOf(['solid', 'blur'], { gradient: 'solid', gen: 'solid', generative: 'solid' }),
    category: 'fill',
    summary: 'What fills the gaps of fit=fill and fit=fillmax; gradient and generative fills are drawn solid.',
    fallback: 'solid',
    requires: { fit: fillFits },
  }),
  'fill-color': defineParam({
    type: color(),
    category: 'fill',
    summary: 'Colour of fill=solid.',
    aliases: ['fillcolor'],
    fallbackText: 'bg, else transparent where the output has alpha, else white',
    requires: { fit: fillFits, fill: ['solid'] },
  }),
}
