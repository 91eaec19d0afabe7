import { describe, expect, test } from 'vitest'
import { canonicalParams } from '../../../../src/transform/params/canonicalize.ts'
import { parseParams } from '../../../../src/transform/params/parse-params.ts'
import { applyVariantPolicy } from '../../../../src/transform/params/variant-policy.ts'
import type { VariantPolicy } from '../../../../src/config/config.ts'

const presets = { card: 'w=300&h=200&fit=crop', brand: 'w=333&h=211&fit=fill&bg=123456' }
const snap: VariantPolicy = { kind: 'snap', widths: [1280, 320, 640], qualities: [45, 60, 75, 90] }

function apply(query: string, policy: VariantPolicy, defaults = ''): string {
  return canonicalParams(applyVariantPolicy(parseParams(query, { strict: false, defaults, presets }), policy))
}

test('exact leaves everything as asked', () => {
  expect(apply('w=123&q=77', { kind: 'exact' })).toBe('q=77&w=123')
})

describe('snap', () => {
  test.each([
    ['w=300', 'w=320'],
    ['w=320', 'w=320'],
    ['w=321', 'w=640'],
    ['w=5000', 'w=1280'],
    ['w=320&dpr=2', 'w=640'],
    ['w=100&dpr=5', 'w=640'],
    ['w=160&h=80&fit=crop', 'fit=crop&h=160&w=320'],
    ['w=2000&h=1000&fit=crop', 'fit=crop&h=640&w=1280'],
    ['h=500', 'h=640'],
    ['w=160&fit=crop&max-h=100', 'fit=crop&max-h=320&w=320'],
    ['w=160&dpr=2&fit=crop&max-h=200', 'fit=crop&max-h=640&w=320'],
    ['fit=crop&ar=1.79:1&max-w=300', 'ar=9:5&fit=crop&max-w=320'],
    ['w=320&h=181&fit=crop', 'fit=crop&h=180&w=320'],
    [
      'w=320&h=200&fit=crop&crop=focalpoint&fp-x=0.314&fp-z=1.9',
      'crop=focalpoint&fit=crop&fp-x=0.3&fp-z=2&h=200&w=320',
    ],
    ['rect=0,7,300,1001', 'rect=0,7,288,1024'],
    ['rect=0.333,0.01,0.01,0.98', 'rect=0.35,0,0.05,full'],
    ['rect=center,bottom,0.51,full', 'rect=center,bottom,0.5,full'],
    ['bg=f1f2f3', 'bg=eeeeee'],
    ['bg=7f123456', 'bg=66113355'],
    ['bg=05123456', 'bg=00ffffff'],
    ['q=50', 'q=60'],
    ['q=99', 'q=90'],
    ['q=0', 'q=45'],
    ['w=0.33', 'w=0.4'],
    ['w=0.5&h=200', 'h=320&w=0.5'],
    ['dpr=0.3', 'dpr=0.5'],
    ['w=0.5&dpr=1.1', 'dpr=1.5&w=0.5'],
    ['fit=max', 'fit=max'],
  ])('%s becomes %s', (query, want) => {
    expect(apply(query, snap)).toBe(want)
  })

  test('what the operator wrote stays as it is', () => {
    expect(apply('preset=brand', snap)).toBe('bg=123456&fit=fill&h=211&w=333')
    expect(apply('preset=brand&bg=123456', snap)).toBe('bg=113355&fit=fill&h=211&w=333')
    expect(apply('preset=brand&w=300', snap)).toBe('bg=123456&fit=fill&h=224&w=320')
  })

  const ladder: VariantPolicy = {
    ...snap,
    widths: [100, 135, 181, 244, 328, 441, 594, 799, 1075, 1446, 1946, 2619, 8192],
  }
  const thousandths = (value: number): string => String(value / 1000)
  const numbers = (value: number): string => String(value)
  const hex = (value: number): string => (value * 1667).toString(16).padStart(6, '0')
  test.each<[string, (value: number) => string, string, number]>([
    ['w', numbers, '', 14],
    ['h', numbers, '', 14],
    ['h', numbers, '&w=100&fit=scale', 180],
    ['w', numbers, '&h=100&fit=scale', 180],
    ['w', thousandths, '', 26],
    ['dpr', thousandths, '', 9],
    ['dpr', thousandths, '&w=100', 13],
    ['dpr', thousandths, '&w=100&h=77&fit=crop&max-h=50', 13],
    ['q', numbers, '', 4],
    ['ar', (value) => `${String(value)}:777`, '&fit=crop', 180],
    ['max-w', numbers, '&fit=crop&ar=1:1', 14],
    ['min-h', numbers, '&fit=crop&w=100', 14],
    ['fp-x', thousandths, '&fit=crop&crop=focalpoint&w=9', 21],
    ['fp-y', thousandths, '&fit=crop&crop=focalpoint&w=9', 21],
    ['fp-z', thousandths, '&fit=crop&crop=focalpoint&w=9', 16],
    ['rect', (value) => `0,0,300,${String(value)}`, '', 120],
    ['rect', (value) => `${String(value)},0,300,300`, '', 120],
    ['rect', (value) => `0,${thousandths(value)},full,0.5`, '', 32],
    ['bg', hex, '', 4096],
    ['fill-color', hex, '&fit=fill', 4096],
    ['bg', (value) => `${(value % 256).toString(16).padStart(2, '0')}ff0000`, '', 6],
  ])('ten thousand values of %s are few variants (%#)', (name, spell, more, most) => {
    const keys = Array.from({ length: 10_000 }, (_, value) => apply(`${name}=${spell(value + 1)}${more}`, ladder))
    expect(new Set(keys).size).toBeLessThanOrEqual(most)
    expect(new Set(keys).size).toBeGreaterThan(1)
  })

  test('is idempotent', () => {
    const once = apply('w=333&h=77&dpr=1.7&q=51&fit=crop', snap)
    expect(apply(once, snap)).toBe(once)
  })
})

describe('presets-only', () => {
  const policy: VariantPolicy = { kind: 'presets-only' }

  test.each(['preset=card', 'preset=card&s=1&ixlib=a&ixid=b&expires=9&dl=x.jpg&utm_source=y'])(
    '%s is served',
    (query) => {
      expect(apply(query, policy)).toBe('fit=crop&h=200&w=300')
    },
  )

  test('without a preset what the source itself says is served, if it renders', () => {
    expect(apply('', policy, 'w=800')).toBe('w=800')
    expect(apply('dl=x.jpg', policy, 'preset=card')).toBe('fit=crop&h=200&w=300')
  })

  test.each([
    '',
    'dl=x.jpg',
    'utm_source=y',
    'w=300',
    'preset=card&q=50',
    'w=abc',
    'preset=nope',
    'auto=format',
    'width64=NDAw',
  ])('%s is refused', (query) => {
    expect(() => apply(query, policy)).toThrow(expect.objectContaining({ code: 'preset_required' }))
  })
})
