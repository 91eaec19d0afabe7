import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { AppError } from '../../../../src/errors.ts'
import { checkParams, parseParams } from '../../../../src/transform/params/parse-params.ts'
import type { ParseOptions } from '../../../../src/transform/params/parse-params.ts'

const presets = { card: 'w=300&h=200&fit=crop&auto=format', broken: 'w=abc&q=60', nested: 'preset=card&q=50' }

function parse(query: string, options: Partial<ParseOptions> = {}) {
  return parseParams(query, { strict: false, defaults: '', presets, ...options })
}

function px(value: number) {
  return { unit: 'px', value }
}

function share(value: number) {
  return { unit: 'share', value }
}

function thrownBy(action: () => unknown): AppError {
  try {
    action()
  } catch (thrown) {
    if (thrown instanceof AppError) return thrown
    throw thrown
  }
  throw new Error('expected an AppError')
}

describe('values', () => {
  test.each([
    ['w=300', { w: px(300) }],
    ['w=0.5&h=1', { w: share(0.5), h: share(1) }],
    ['w=9000', { w: px(8192) }],
    ['w=300.4', { w: px(300) }],
    ['fit=max', { fit: 'max' }],
    ['fit=facearea,max', { fit: 'max' }],
    ['fit=facearea', { fit: 'crop' }],
    ['ar=16:9', { ar: { width: 16, height: 9 } }],
    ['ar=0.85:1', { ar: { width: 17, height: 20 } }],
    ['dpr=1.5', { dpr: 1.5 }],
    ['q=0', { q: 0 }],
    ['q=150', { q: 100 }],
    ['q=-5', { q: 0 }],
    ['fm=pjpg', { fm: 'jpg' }],
    ['lossless=true', { lossless: true }],
    ['lossless=0', { lossless: false }],
    ['cs=tinysrgb', { cs: 'tinysrgb' }],
    ['flip=vh', { flip: 'hv' }],
    ['orient=0', { orient: 1 }],
    ['orient=90', { orient: 6 }],
    ['orient=180', { orient: 3 }],
    ['orient=270', { orient: 8 }],
    ['orient=5', { orient: 5 }],
    ['fill=gen', { fill: 'solid' }],
    ['fill=blur', { fill: 'blur' }],
    ['max-w=100&min-h=5', { 'max-w': 100, 'min-h': 5 }],
    ['fp-x=0.2&fp-y=.8&fp-z=2.5', { 'fp-x': 0.2, 'fp-y': 0.8, 'fp-z': 2.5 }],
    ['expires=1893456000', { expires: 1893456000 }],
    ['dl=my%20cat.jpg', { dl: 'my cat.jpg' }],
    ['bg=red', { bg: { r: 255, g: 0, b: 0, alpha: 1 } }],
    ['auto=true', { auto: ['compress', 'enhance', 'format'] }],
    ['auto=redeye', { auto: [] }],
    ['rect=10,20,30,40', { rect: { x: px(10), y: px(20), width: px(30), height: px(40) } }],
    ['rect=center,bottom,0.5,full', { rect: { x: 'center', y: 'bottom', width: share(0.5), height: share(1) } }],
    ['rect=left,top,1,1.0', { rect: { x: px(0), y: px(0), width: px(1), height: share(1) } }],
  ])('%s', (query, params) => {
    expect(parse(query).params).toEqual(params)
  })

  test.each([
    'w=abc',
    'w=',
    'w=0',
    'w=-100',
    'w=1e3',
    'w=0x10',
    'w=Infinity',
    'h=NaN',
    'fit=cover',
    'crop=bogus',
    'ar=16',
    'ar=0:1',
    'ar=1:2:3',
    'rect=1,2,3',
    'rect=1,2,3,4,5',
    'rect=1,2,0,4',
    'rect=top,left,1,1',
    'dpr=0',
    'dpr=6',
    'fp-x=1.1',
    'fp-z=0.5',
    'fm=mp4',
    'fm=jp2',
    'lossless=yes',
    'cs=cmyk',
    'auto=bogus',
    'bg=12345',
    'orient=9',
    'orient=45',
    'flip=x',
    'fill=image',
    'max-w=0',
  ])('%s is bad: ignored and listed, refused when strict', (query) => {
    const [name = '', value = ''] = query.split('=')
    const { params, ignored } = parse(query)
    expect(params).toEqual({ fit: 'clip' })
    expect(ignored).toMatchObject([{ name, value }])
    expect(ignored[0]).not.toHaveProperty('appliedAs')
    expect(ignored[0]?.expected).not.toBe('')
    const error = thrownBy(() => parse(query, { strict: true }))
    expect(error.code).toBe('param_invalid')
    expect(error.details).toEqual({ param: name })
    expect(error.detail).toContain(`${name}: expected `)
    expect(error.detail).toContain(`got "${value}"`)
  })

  test('a bad value that concerns no pixel asks for none', () => {
    expect(parse('expires=soon')).toMatchObject({ params: {}, ignored: [{ name: 'expires' }] })
  })

  test.each([
    ['w=9000', '8192'],
    ['q=101', '100'],
    ['auto=format,bogus', 'format'],
    ['crop=top,zebra', 'top'],
  ])('%s is applied as far as it is understood, and refused when strict', (query, appliedAs) => {
    expect(Object.keys(parse(query).params)).toHaveLength(1)
    expect(parse(query).ignored).toMatchObject([{ appliedAs }])
    expect(thrownBy(() => parse(query, { strict: true })).code).toBe('param_invalid')
  })
})

describe('crop lists', () => {
  test.each([
    ['top,left', { kind: 'anchor', x: 'left', y: 'top' }],
    ['left', { kind: 'anchor', x: 'left', y: undefined }],
    ['faces', { kind: 'anchor', x: undefined, y: undefined }],
    ['faces,center', { kind: 'anchor', x: undefined, y: undefined }],
    ['faces,top,right', { kind: 'anchor', x: 'right', y: 'top' }],
    ['faces,edges', { kind: 'edges' }],
    ['faces,entropy', { kind: 'entropy' }],
    ['faces,focalpoint', { kind: 'focalpoint' }],
    ['entropy,top', { kind: 'entropy' }],
    ['zebra,bottom', { kind: 'anchor', x: undefined, y: 'bottom' }],
  ])('%s takes the first that can be carried out', (list, crop) => {
    expect(parse(`crop=${list}`).params.crop).toEqual(crop)
  })
})

describe('names', () => {
  test.each([
    ['width=5', { w: px(5) }],
    ['height=5', { h: px(5) }],
    ['f=max', { fit: 'max' }],
    ['max-width=5&max-height=6&min-width=7&min-height=8', { 'max-w': 5, 'max-h': 6, 'min-w': 7, 'min-h': 8 }],
    ['fillcolor=fff', { 'fill-color': { r: 255, g: 255, b: 255, alpha: 1 } }],
    ['or=90', { orient: 6 }],
  ])('alias %s', (query, params) => {
    expect(parse(query).params).toEqual(params)
  })

  test('case matters', () => {
    expect(parse('W=5').params).toEqual({})
  })

  test.each(['__proto__=1', 'constructor=1', 'toString=1', 'hasOwnProperty64=1'])('%s is nothing special', (query) => {
    const { params } = parse(query)
    expect(params).toEqual({})
    expect(Object.getPrototypeOf(params)).toBe(Object.prototype)
  })

  test('unknown names are listed, even when strict they are no error', () => {
    const { params, ignored } = parse('utm_source=x&w=10&v=3', { strict: true })
    expect(params).toEqual({ w: px(10) })
    expect(ignored.map(({ name }) => name)).toEqual(['utm_source', 'v'])
  })

  test('signatures and client tags are neither params nor listed', () => {
    expect(parse('s=abc&sig=def&kid=k1&ixlib=js-3.8.0&ixid=1', { strict: true })).toEqual({
      params: {},
      ignored: [],
      named: [],
    })
  })
})

describe('form decoding', () => {
  test.each([
    ['dl=a+b%2Bc.jpg', 'a b+c.jpg'],
    ['dl=%E4%BD%A0', '你'],
    ['dl=%E0%A4%A', '\uFFFD%A'],
    ['dl=100%', '100%'],
    ['dl=a=b', 'a=b'],
    ['dl=%22%0d%0a', '"'],
  ])('%s', (query, dl) => {
    expect(parse(query).params.dl).toBe(dl)
  })

  test('of repetitions the last valid one wins', () => {
    expect(parse('w=1&w=20&width=30').params).toEqual({ w: px(30) })
    expect(parse('w=20&w=abc').params).toEqual({ w: px(20) })
  })

  test('auto alone adds up', () => {
    expect(parse('auto=format&auto=compress').params).toEqual({ auto: ['compress', 'format'] })
    expect(parse('auto=format%2Ccompress&fit=max').params.auto).toEqual(['compress', 'format'])
  })
})

describe('base64 twins', () => {
  const encode = (text: string): string => Buffer.from(text).toString('base64url')

  test.each([
    [`w64=${encode('400')}`, { w: px(400) }],
    [`width64=${encode('400')}`, { w: px(400) }],
    [`dl64=${encode('I cannøt belîév∑.jpg')}`, { dl: 'I cannøt belîév∑.jpg' }],
    [`w64=${encode('4000')}%3D%3D`, { w: px(4000) }],
    ['w=300&w64=NDAw', { w: px(400) }],
    ['w64=NDAw&w=300', { w: px(300) }],
  ])('%s', (query, params) => {
    expect(parse(query).params).toEqual(params)
  })

  test.each(['w64=a', 'w64=!!!!', 'bg64=a%2Fbc', 'dl64=_w', 'width64=%FF', 'w64=NDAw&w64=x'])(
    '%s is malformed: an error even when lenient',
    (query) => {
      expect(thrownBy(() => parse(query)).code).toBe('param_invalid')
    },
  )

  test.each(['auto64=Zm9ybWF0', 's64=YQ', 'unknown64=!!!'])('%s has no twin and is ignored', (query) => {
    expect(parse(query).params).toEqual({})
    expect(parse(query).ignored).toHaveLength(1)
  })
})

describe('presets and defaults', () => {
  test('URL before preset before defaults', () => {
    const { params } = parse('preset=card&w=500', { defaults: 'w=1&fit=max&q=60' })
    expect(params).toEqual({ preset: 'card', w: px(500), h: px(200), fit: 'crop', auto: ['format'], q: 60 })
  })

  test('a list in the URL replaces the one of the defaults', () => {
    expect(parse('auto=compress', { defaults: 'auto=format' }).params.auto).toEqual(['compress'])
  })

  test('the defaults may name a preset, and the URL another one', () => {
    expect(parse('', { defaults: 'preset=card' }).params.w).toEqual(px(300))
    expect(parse('preset=broken', { defaults: 'preset=card' }).params).toEqual({ preset: 'broken', q: 60 })
  })

  test.each(['preset=nope', 'preset=__proto__', 'preset=constructor'])(
    '%s still asks for a rendering, which strips what the original tells',
    (query) => {
      expect(parse(query).params).toEqual({ fit: 'clip' })
      expect(parse('', { defaults: query }).params).toEqual({ fit: 'clip' })
    },
  )

  test('a preset or defaults of which nothing can be applied ask for a rendering as well', () => {
    expect(parse('preset=bad', { presets: { bad: 'w=abc' } }).params).toEqual({ preset: 'bad', fit: 'clip' })
    expect(parse('', { defaults: 'fm=mp4' }).params).toEqual({ fit: 'clip' })
    expect(parse('preset=named', { presets: { named: 'dl=a.jpg' } }).params).toEqual({ preset: 'named', dl: 'a.jpg' })
  })

  test('presets do not nest', () => {
    expect(parse('preset=nested').params).toEqual({ preset: 'nested', q: 50 })
  })

  test('an unknown preset is ignored, refused when strict', () => {
    expect(parse('preset=nope&w=5')).toMatchObject({
      params: { w: px(5) },
      ignored: [{ name: 'preset', value: 'nope' }],
    })
    expect(parse('preset=nope').params.preset).toBeUndefined()
    expect(thrownBy(() => parse('preset=nope', { strict: true })).details).toEqual({ param: 'preset' })
  })

  test('faults of the configuration are not blamed on the client', () => {
    expect(parse('preset=broken', { strict: true, defaults: 'h64=!' }).params).toEqual({ preset: 'broken', q: 60 })
  })

  test('only what the URL itself names is named', () => {
    expect(parse('preset=card&q=abc&s=x&utm=1').named).toEqual(['preset', 'q'])
  })
})

describe('checkParams', () => {
  test.each(['', 'w=480&h=320&fit=crop&auto=format', 'preset=card&q=60'])('%j is sound', (query) => {
    expect(checkParams(query, presets)).toEqual([])
  })

  test.each([
    ['w=abc', [{ name: 'w', value: 'abc' }]],
    ['w=9000&q=60', [{ name: 'w', value: '9000', appliedAs: '8192' }]],
    ['witdh=100', [{ name: 'witdh' }]],
    ['preset=crad', [{ name: 'preset', value: 'crad' }]],
    ['h64=!', [{ name: 'h64' }]],
  ])('%s is faulty', (query, faults) => {
    expect(checkParams(query, presets)).toMatchObject(faults)
  })

  test('the presets that come with Halftone are sound', async () => {
    const shipped: unknown = JSON.parse(await readFile('config/presets.json', 'utf8'))
    const queries = Object.values(shipped as Record<string, string>)
    expect(queries.length).toBeGreaterThan(0)
    for (const query of queries) expect(checkParams(query), query).toEqual([])
  })
})

test('messages carry short printable ASCII only', () => {
  const error = thrownBy(() => parse(`w=${encodeURIComponent(`é\u0000${'x'.repeat(500)}`)}`, { strict: true }))
  expect(error.detail).toMatch(/^[\x20-\x7e]{1,250}$/)
})
