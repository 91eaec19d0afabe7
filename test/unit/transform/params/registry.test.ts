import { expect, test } from 'vitest'
import { registry } from '../../../../src/transform/params/registry.ts'
import type { ParamName } from '../../../../src/transform/params/registry.ts'
import { acceptsAll, metadataOf, planQuery } from '../../../helpers/plan-request.ts'

type PixelParam = { [Name in ParamName]: Name }[ParamName]

/** For each param that concerns pixels a query without it and the value that must make another picture of it. */
const effects: Partial<Record<PixelParam, readonly [query: string, value: string]>> = {
  w: ['', '10'],
  h: ['', '10'],
  fit: ['w=50&h=50', 'crop'],
  crop: ['w=50&h=50&fit=crop', 'left'],
  ar: ['w=50&fit=crop', '1:1'],
  rect: ['', '0,0,10,10'],
  'max-w': ['h=50&fit=crop', '10'],
  'max-h': ['w=50&fit=crop', '10'],
  'min-w': ['h=50&fit=crop', '100'],
  'min-h': ['w=50&fit=crop', '100'],
  'fp-x': ['w=50&h=50&fit=crop&crop=focalpoint', '0.1'],
  'fp-y': ['w=90&h=20&fit=crop&crop=focalpoint', '0.1'],
  'fp-z': ['w=50&h=50&fit=crop&crop=focalpoint', '2'],
  dpr: ['w=50', '2'],
  fm: ['', 'webp'],
  q: ['', '20'],
  lossless: ['fm=webp', '1'],
  cs: ['', 'srgb'],
  auto: ['', 'enhance'],
  bg: ['w=50&h=50&fit=fill', 'f00'],
  fill: ['w=50&h=50&fit=fill', 'blur'],
  'fill-color': ['w=50&h=50&fit=fill', 'f00'],
  orient: ['', '90'],
  flip: ['', 'h'],
}

const pixelParams = Object.entries(registry).flatMap(([name, { effect }]) =>
  effect === 'pixels' ? [name as ParamName] : [],
)

test.each(pixelParams)('%s changes what is rendered', (name) => {
  const [query, value] = effects[name] ?? ['', '']
  expect(value, `a value of ${name} that shows`).not.toBe('')
  const original = metadataOf(300, 200)
  const without = planQuery(`fit=clip&${query}`, original, acceptsAll)
  expect(planQuery(`fit=clip&${query}&${name}=${value}`, original, acceptsAll)).not.toEqual(without)
})
