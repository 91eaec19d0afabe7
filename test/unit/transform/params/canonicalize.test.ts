import { describe, expect, test } from 'vitest'
import { appliedParams, canonicalParams } from '../../../../src/transform/params/canonicalize.ts'
import { triggersRender } from '../../../../src/transform/params/params.ts'
import { lenientParams } from '../../../helpers/plan-request.ts'

const canonical = (query: string): string => canonicalParams(lenientParams(query))

describe('canonicalParams', () => {
  test.each([
    ['w=100&h=50', 'h=50&w=100'],
    ['width=100', 'w100=&w=100'],
    ['w=100&fit=clip&dpr=1', 'w=100'],
    ['w=100&fit=crop&h=100&crop=faces', 'w=100&h=100&f=crop'],
    ['w=100&h=100&fit=crop&crop=left,top', 'w=100&h=100&fit=crop&crop=faces,top,left'],
    ['w=100&crop=top&ar=1:1&fp-x=0.1&max-h=5&fill=blur&fill-color=red', 'w=100'],
    ['w=100&fit=crop&crop=top&fp-x=0.3', 'w=100&fit=crop&crop=top'],
    ['w=100&h=50&fit=crop&ar=3:1&max-w=7&min-h=3', 'w=100&h=50&fit=crop'],
    ['w=100&fit=fill&ar=16:9', 'w=100&fit=fill&ar=32:18'],
    ['bg=white&w=9', 'bg=%23FFF&w=9'],
    ['q=75&w=10', 'w=10'],
    ['q=45&auto=compress', 'auto=compress'],
    ['auto=format&auto=compress', 'auto=compress,format'],
    ['fm=pjpg', 'fm=jpg'],
    ['orient=90', 'or=6'],
    ['w=10&s=1&ixlib=a&ixid=b&expires=99&dl=x.jpg&utm=1&sig=q', 'w=10'],
    ['w=0.5', 'w=0.500'],
    ['w64=NDAw', 'w=400'],
    ['rect=left,top,0.5,full', 'rect=0,0,0.50,1.0'],
    ['fit=facearea&w=10&h=10', 'fit=crop&w=10&h=10'],
    ['q=75', 'fit=clip'],
  ])('%s means the same as %s', (one, other) => {
    expect(canonical(one)).toBe(canonical(other))
    expect(canonical(one)).not.toBe('')
  })

  test.each([
    ['w=100&dpr=2', 'w=200'],
    ['w=100&dpr=1.0001', 'w=100'],
    ['w=100&h=50&dpr=1.5', 'w=150&h=75'],
    ['h=101&dpr=0.5', 'h=51'],
    ['w=100&fit=crop&max-h=50&dpr=1.50001', 'w=150&fit=crop&max-h=75'],
    ['w=100&max-h=50&dpr=2', 'w=200'],
    ['fit=crop&ar=1:1&max-w=100&dpr=2', 'fit=crop&ar=1:1&max-w=200'],
    ['dpr=3', 'fit=clip'],
    ['dpr=3&fit=max', 'fit=max'],
  ])('dpr is folded where that loses nothing: %s is %s', (one, other) => {
    expect(canonical(one)).toBe(canonical(other))
  })

  test('and left where it would', () => {
    for (const query of ['dpr=0.5', 'dpr=2&w=0.5', 'dpr=2&h=4097&w=100', 'dpr=0.1&w=5'])
      expect(canonical(query)).toBe(query)
  })

  test('ten thousand densities of a width are as many keys as widths', () => {
    const keys = Array.from({ length: 10_000 }, (_, step) => canonical(`w=100&dpr=${String(1 + step / 10_000)}`))
    expect(new Set(keys).size).toBe(101)
  })

  test.each([
    ['w=1', 'w=2'],
    ['w=100&fit=max', 'w=100'],
    ['auto=compress&q=75', 'auto=compress'],
    ['w=10&bg=80ffffff', 'w=10&bg=ffffff'],
    ['w=10&dpr=2', 'w=10'],
    ['rect=0,0,1,1', 'rect=0,0,1.0,1.0'],
    ['fm=png', 'fm=png32'],
    ['w=10', 'h=10'],
    ['fit=clip', ''],
  ])('%s differs from %s', (one, other) => {
    expect(canonical(one)).not.toBe(canonical(other))
  })

  test('a preset counts by what it stands for', () => {
    expect(canonicalParams({ preset: 'card', q: 60 })).toBe('q=60')
  })
})

describe('triggersRender', () => {
  test.each(['', 's=a&ixlib=b&ixid=c&expires=5&dl=x.jpg', 'utm_source=x'])(
    '%j passes the original through, under the empty key',
    (query) => {
      expect(triggersRender(lenientParams(query))).toBe(false)
      expect(canonical(query)).toBe('')
    },
  )

  test.each(['w=abc', 'fm=mp4', 'preset=nope', 'rect=9', 'bg=nocolour&utm_source=x'])(
    '%s asks for pixels, though not which: the picture is rendered as it is, and tells no place',
    (query) => {
      expect(triggersRender(lenientParams(query))).toBe(true)
      expect(canonical(query)).toBe('fit=clip')
    },
  )

  test.each(['w=5', 'fit=clip', 'dpr=2', 'auto=redeye', 'q=75', 'lossless=0'])('%s renders', (query) => {
    expect(triggersRender(lenientParams(query))).toBe(true)
  })
})

test('appliedParams shows what was understood, harmless in a header', () => {
  const params = lenientParams(
    'width=100&fit=facearea&bogus=1&dl=a%0D%0Ab%22%C3%A9.jpg&crop=top&s=1&rect=1,2,3,4&ar=3:2',
  )
  expect(appliedParams(params)).toBe('ar=3:2&crop=top&dl=a%0D%0Ab%22%C3%A9.jpg&fit=crop&rect=1,2,3,4&w=100')
})
