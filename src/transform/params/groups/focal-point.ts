import { defineParam } from '../define-param.ts'
import { number } from '../value-types.ts'

const requires = { fit: ['crop'], crop: ['focalpoint'] }

export const focalPointParams = {
  'fp-x': defineParam({
    type: number({ min: 0, max: 1 }),
    category: 'focal-point',
    summary: 'Horizontal focal point as a share of the width; needs fit=crop and crop=focalpoint.',
    fallback: 0.5,
    requires,
  }),
  'fp-y': defineParam({
    type: number({ min: 0, max: 1 }),
    category: 'focal-point',
    summary: 'Vertical focal point as a share of the height; needs fit=crop and crop=focalpoint.',
    fallback: 0.5,
    requires,
  }),
  'fp-z': defineParam({
    type: number({ min: 1, max: 100 }),
    category: 'focal-point',
    summary: 'Zoom around the focal point, 1 = none; needs fit=crop and crop=focalpoint.',
    fallback: 1,
    requires,
  }),
}
