import { describe, expect, test } from 'vitest'
import { canonicalParams } from '../../../../src/transform/params/canonicalize.ts'
import { parseParams } from '../../../../src/transform/params/parse-params.ts'
import { applyVariantPolicy } from '../../../../src/transform/params/variant-policy.ts'
import type { VariantPolicy } from '../../../../src/config/config.ts'

const presets = { card: 'w=300&h=200&fit=crop' }
const snap: VariantPolicy = { kind: 'snap', widths: [1280, 320, 640], qualities: [45, 60, 75, 90] }

function apply(query: string, policy: VariantPolicy): string {
  return canonicalParams(applyVariantPolicy(parseParams(query, { strict: false, defaults: '', presets }), policy))
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
    ['w=160&fit=crop&max-h=100', 'fit=crop&max-h=200&w=320'],
    ['w=160&dpr=2&fit=crop&max-h=100', 'fit=crop&max-h=200&w=320'],
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

  test('the original may be passed through', () => {
    expect(apply('', policy)).toBe('')
  })

  test.each(['w=300', 'preset=card&q=50', 'w=abc', 'preset=nope', 'auto=format', 'width64=NDAw'])(
    '%s is refused',
    (query) => {
      expect(() => apply(query, policy)).toThrow(expect.objectContaining({ code: 'preset_required' }))
    },
  )
})
