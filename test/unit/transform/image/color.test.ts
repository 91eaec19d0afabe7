import { describe, expect, test } from 'vitest'
import { blendColors, formatColor, parseColor, white } from '../../../../src/transform/image/color.ts'

describe('parseColor', () => {
  test.each([
    ['f80', { r: 255, g: 136, b: 0, alpha: 1 }],
    ['FF8800', { r: 255, g: 136, b: 0, alpha: 1 }],
    ['#ff8800', { r: 255, g: 136, b: 0, alpha: 1 }],
    ['80ff8800', { r: 255, g: 136, b: 0, alpha: 128 / 255 }],
    ['8f80', { r: 255, g: 136, b: 0, alpha: 0x88 / 255 }],
    ['ff000000', { r: 0, g: 0, b: 0, alpha: 1 }],
    ['rebeccapurple', { r: 102, g: 51, b: 153, alpha: 1 }],
    ['Red', { r: 255, g: 0, b: 0, alpha: 1 }],
  ])('%s', (text, color) => {
    expect(parseColor(text)).toEqual(color)
  })

  test('alpha stands first, so a short colour with alpha 0 cannot be seen', () => {
    expect(parseColor('0f00')?.alpha).toBe(0)
    expect(parseColor('00ff0000')?.alpha).toBe(0)
  })

  test.each(['', '#', 'ff', 'fffff', 'fffffff', 'fffffffff', 'ggg', 'notacolour', '__proto__', 'constructor'])(
    '%j is no colour',
    (text) => {
      expect(parseColor(text)).toBeUndefined()
    },
  )

  test.each(['imgixorange', 'imgixblue'])('knows the imgix keyword %s', (keyword) => {
    expect(parseColor(keyword)).toMatchObject({ alpha: 1 })
  })
})

test.each([
  ['white', 'ffffff'],
  ['F00', 'ff0000'],
  ['ff112233', '112233'],
  ['7f112233', '7f112233'],
  ['0abc', '00ffffff'],
])('%s is spelled %s', (text, spelled) => {
  expect(formatColor(parseColor(text) ?? white)).toBe(spelled)
})

test('half a black over white is grey', () => {
  expect(blendColors({ r: 0, g: 0, b: 0, alpha: 0.5 }, white)).toEqual({ r: 128, g: 128, b: 128, alpha: 1 })
})
