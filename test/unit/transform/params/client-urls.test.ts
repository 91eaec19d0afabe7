import { transform } from 'unpic/providers/imgix'
import { describe, expect, test } from 'vitest'
import { parseParams } from '../../../../src/transform/params/parse-params.ts'
import { createImgixClient } from '../../../helpers/imgix-client.ts'
import { lenientParams } from '../../../helpers/plan-request.ts'

function paramsOf(url: string) {
  const parsed = parseParams(new URL(url).search.slice(1), { strict: true, defaults: '', presets: {} })
  expect(parsed.ignored).toEqual([])
  return parsed.params
}

const px = (value: number) => ({ unit: 'px', value })

describe('@imgix/js-core', () => {
  const client = createImgixClient({ domain: 'img.local', secureURLToken: 'FOO123bar' })

  test('buildURL', () => {
    const url = client.buildURL('/a b.jpg', {
      w: 400,
      h: 300,
      auto: 'format,compress',
      fit: 'crop',
      crop: ['faces', 'top'],
      ar: '16:9',
      bg: '80ffffff',
      dl64: 'I cannøt.jpg',
    })
    expect(paramsOf(url)).toEqual({
      w: px(400),
      h: px(300),
      auto: ['compress', 'format'],
      fit: 'crop',
      crop: { kind: 'anchor', x: undefined, y: 'top' },
      ar: { width: 16, height: 9 },
      bg: { r: 255, g: 255, b: 255, alpha: 128 / 255 },
      dl: 'I cannøt.jpg',
    })
  })

  const urlsOf = (srcset: string): string[] => srcset.split(',\n').map((entry) => entry.split(' ')[0] ?? '')

  test('a fluid srcset', () => {
    const widths = urlsOf(client.buildSrcSet('/a.jpg', {})).map((url) => paramsOf(url).w)
    expect(widths).toHaveLength(31)
    expect(widths.at(0)).toEqual(px(100))
    expect(widths.at(-1)).toEqual(px(8192))
  })

  test('a fixed srcset', () => {
    const steps = urlsOf(client.buildSrcSet('/a.jpg', { w: 300, h: 200 })).map(paramsOf)
    expect(steps.map(({ dpr, q }) => [dpr, q])).toEqual([
      [1, 75],
      [2, 50],
      [3, 35],
      [4, 23],
      [5, 20],
    ])
  })
})

describe('unpic', () => {
  test('by default asks for fit=min and auto=format', () => {
    const url = transform('https://img.local/a.jpg', { width: 800, height: 600, quality: 60 })
    expect(paramsOf(String(url))).toEqual({ w: px(800), h: px(600), q: 60, fit: 'min', auto: ['format'] })
  })

  test('with a format drops auto', () => {
    const url = transform('https://img.local/a.jpg', { width: 800, format: 'webp' })
    expect(paramsOf(String(url))).toEqual({ w: px(800), fm: 'webp', fit: 'min' })
  })
})

/** As the Next.js documentation has it for imgix. */
function nextImageLoader({ src, width, quality }: { src: string; width: number; quality?: number }): string {
  const url = new URL(`https://img.local${src}`)
  const params = url.searchParams
  params.set('auto', params.getAll('auto').join(',') || 'format')
  params.set('fit', params.get('fit') || 'max')
  params.set('w', params.get('w') || width.toString())
  params.set('q', (quality || 50).toString())
  return url.href
}

describe('the documented next/image loader', () => {
  test('default', () => {
    const params = paramsOf(nextImageLoader({ src: '/a.jpg', width: 640 }))
    expect(params).toEqual({ auto: ['format'], fit: 'max', w: px(640), q: 50 })
  })

  test('keeps a list of auto modes', () => {
    const params = paramsOf(nextImageLoader({ src: '/a.jpg?auto=format&auto=compress', width: 640, quality: 80 }))
    expect(params).toMatchObject({ auto: ['compress', 'format'], q: 80 })
  })
})

test.each([
  [
    'react-imgix',
    'auto=format&or=90&fit=crop&f=max&ixlib=react-9.11.0&w=300&h=200&dpr=3&q=35',
    { orient: 6, fit: 'max', dpr: 3, q: 35 },
  ],
  ['Prismic', 'auto=compress%2Cformat&rect=0,0,100,50&width=640', { auto: ['compress', 'format'], w: px(640) }],
  [
    'DatoCMS',
    'dpr=0.25&fit=crop&crop=focalpoint&fp-x=0.1&fp-y=0.9&max-w=500',
    { dpr: 0.25, crop: { kind: 'focalpoint' } },
  ],
  [
    'Unsplash',
    'crop=entropy&cs=tinysrgb&fit=max&fm=jpg&ixid=MnwxfDB8&ixlib=rb-4.0.3&q=80&w=1080',
    { fm: 'jpg', q: 80, cs: 'tinysrgb' },
  ],
  [
    'an old shop',
    'w=750&h=555&ch=Width&auto=format&cs=strip&bg=FFFFFF&q=60&trimcolor=FFFFFF&trim=color&fit=fillmax&ixlib=js-1.1.0&s=aa',
    { w: px(750), h: px(555), fit: 'fillmax', cs: 'strip', q: 60 },
  ],
])('a link of %s', (_, query, params) => {
  expect(lenientParams(query)).toMatchObject(params)
})
