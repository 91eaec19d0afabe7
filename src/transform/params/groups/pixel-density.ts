import { defineParam } from '../define-param.ts'
import { number } from '../value-types.ts'

export const pixelDensityParams = {
  dpr: defineParam({
    type: number({ min: 0.01, max: 5 }),
    category: 'pixel-density',
    summary: 'Device pixels per px: multiplies w and h. Alone, only values below 1 have an effect.',
    fallback: 1,
  }),
}
