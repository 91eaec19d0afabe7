import { expect, test } from 'vitest'
import { intersectWindow, roundHalfUp, uprightSize, windowAround } from '../../../../src/transform/image/geometry.ts'

test.each([
  [66.5, 67],
  [66.49, 66],
  [0.07 * 50, 4],
  [1.1 * 5 - 5, 1],
])('%d is rounded half up to %d', (value, rounded) => {
  expect(roundHalfUp(value)).toBe(rounded)
})

test('orientations 5 to 8 swap the sides', () => {
  const turned = ([1, 2, 3, 4, 5, 6, 7, 8] as const).filter(
    (code) => uprightSize({ width: 2, height: 1 }, code).width === 1,
  )
  expect(turned).toEqual([5, 6, 7, 8])
})

test('a window is cut at the edges of the picture, and nothing is left of one outside', () => {
  const size = { width: 100, height: 50 }
  expect(intersectWindow({ left: 90, top: -10, width: 50, height: 20 }, size)).toEqual({
    left: 90,
    top: 0,
    width: 10,
    height: 10,
  })
  expect(intersectWindow({ left: 100, top: 0, width: 5, height: 5 }, size)).toBeUndefined()
})

test('a window around a point near the corner is pushed inside', () => {
  const window = windowAround({ x: 99, y: 1 }, { width: 40, height: 20 }, { width: 100, height: 50 })
  expect(window).toEqual({ left: 60, top: 0, width: 40, height: 20 })
})
