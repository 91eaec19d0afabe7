import { describe, expect, test } from 'vitest'
import { imageUrl, srcset } from '../../../src/client/image-url.ts'

const base = 'https://img.example.com'

describe('imageUrl', () => {
  test.each([
    { path: 'a.jpg', params: {}, want: '/a.jpg' },
    { path: '/u/img_1/2/cat.jpg', params: { w: 640, fit: 'crop' }, want: '/u/img_1/2/cat.jpg?w=640&fit=crop' },
    { path: 'my cats/räuber?.jpg', params: { w: 1 }, want: '/my%20cats/r%C3%A4uber%3F.jpg?w=1' },
    {
      path: 'a.jpg',
      params: { auto: ['format', 'compress'], q: undefined },
      want: '/a.jpg?auto=format%2Ccompress',
    },
    { path: 'a.jpg', params: { txt: 'a&b=c #1' }, want: '/a.jpg?txt=a%26b%3Dc%20%231' },
    {
      path: 'https://shop.example/a b.jpg?x=1',
      params: { w: 9 },
      want: '/https%3A%2F%2Fshop.example%2Fa%20b.jpg%3Fx%3D1?w=9',
    },
  ])('$path $params', ({ path, params, want }) => {
    expect(imageUrl(base, path, params)).toBe(base + want)
    expect(imageUrl(`${base}/`, path, params)).toBe(base + want)
    expect(imageUrl('', path, params)).toBe(want)
  })
})

describe('srcset', () => {
  test('has a candidate for each width, which no param overrules', () => {
    expect(srcset(base, 'a b.jpg', { widths: [100, 200], params: { auto: 'format', w: 7 } })).toBe(
      `${base}/a%20b.jpg?auto=format&w=100 100w, ${base}/a%20b.jpg?auto=format&w=200 200w`,
    )
  })

  test('goes from thumbnails to 4K by itself', () => {
    const widths = srcset(base, 'a.jpg')
      .split(', ')
      .map((one) => Number(/ (\d+)w$/.exec(one)?.[1]))
    expect(widths.length).toBeGreaterThan(5)
    expect([widths[0]! <= 320, widths.at(-1)! >= 3840]).toEqual([true, true])
    expect(widths).toEqual(widths.toSorted((a, b) => a - b))
  })
})
