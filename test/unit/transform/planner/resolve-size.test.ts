import { describe, expect, test } from 'vitest'
import { acceptsNone, metadataOf, planRender } from '../../../helpers/plan-request.ts'
import type { RenderPlan } from '../../../helpers/plan-request.ts'

type Sides = readonly [width: number, height: number]

function sizeOf({ width, height }: RenderPlan): Sides {
  return [width, height]
}

/** Size of the picture itself where it stands on a canvas. */
function pictureSize(plan: RenderPlan): Sides {
  const extend = plan.operations.find(({ op }) => op === 'extend')
  if (extend?.op !== 'extend') return sizeOf(plan)
  return [plan.width - extend.left - extend.right, plan.height - extend.top - extend.bottom]
}

const landscape: Sides = [300, 200]
const portrait: Sides = [200, 300]
const square: Sides = [240, 240]

/** Result, and the picture on it where that is smaller. */
type Row = readonly [query: string, from: Sides, want: Sides, picture?: Sides]

const rows: Record<string, readonly Row[]> = {
  clip: [
    ['w=100&h=100', landscape, [100, 67]],
    ['w=100&h=100', portrait, [67, 100]],
    ['w=100&h=100', square, [100, 100]],
    ['w=600&h=600', landscape, [600, 400]],
    ['w=150', landscape, [150, 100]],
    ['h=100', portrait, [67, 100]],
    ['w=900', landscape, [900, 600]],
    ['w=100&dpr=2', landscape, [200, 133]],
    ['w=100&h=100&ar=1:1', landscape, [100, 67]],
    ['w=0.5', landscape, [150, 100]],
    ['w=1', landscape, [300, 200]],
    ['w=0.5&h=0.1', landscape, [30, 20]],
    ['w=333&dpr=1.5', landscape, [500, 333]],
  ],
  max: [
    ['w=100&h=100', landscape, [100, 67]],
    ['w=600&h=600', landscape, [300, 200]],
    ['w=600&h=100', landscape, [150, 100]],
    ['w=600', landscape, [300, 200]],
    ['h=100', landscape, [150, 100]],
    ['w=200&dpr=5', landscape, [300, 200]],
  ],
  crop: [
    ['w=100&h=100', landscape, [100, 100]],
    ['w=100&h=100', portrait, [100, 100]],
    ['w=600&h=600', landscape, [600, 600]],
    ['w=100&h=50&dpr=3', square, [300, 150]],
    ['w=150', landscape, [150, 100]],
    ['h=400', landscape, [600, 400]],
    ['w=280&ar=2:1', landscape, [280, 140]],
    ['h=140&ar=2:1', landscape, [280, 140]],
    ['w=280&ar=2:1&dpr=2', landscape, [560, 280]],
    ['ar=9:1', [900, 270], [900, 100]],
    ['ar=1:9', [900, 270], [30, 270]],
    ['ar=0.85:1', [1000, 1000], [850, 1000]],
    ['w=100&h=100&ar=2:1', landscape, [100, 100]],
    ['w=300&max-h=300', [300, 900], [300, 300]],
    ['w=300&max-h=300&dpr=2', [300, 900], [600, 600]],
    ['w=300&min-h=400', landscape, [300, 400]],
    ['h=300&max-w=300', [900, 300], [300, 300]],
    ['h=300&min-w=800', square, [800, 300]],
    ['w=300&max-h=300', landscape, [300, 200]],
    ['w=300&h=500&max-h=100', landscape, [300, 500]],
    ['w=300&ar=1:2&max-h=450', landscape, [300, 450]],
    ['max-w=100', landscape, [100, 200]],
    ['w=100&h=100&max-w=50', landscape, [100, 100]],
    ['', landscape, [300, 200]],
  ],
  fill: [
    ['w=100&h=100', landscape, [100, 100], [100, 67]],
    ['w=600&h=600', landscape, [600, 600], [600, 400]],
    ['w=600&h=600', portrait, [600, 600], [400, 600]],
    ['w=150', landscape, [150, 100]],
    ['w=280&ar=1:1', landscape, [280, 280], [280, 187]],
    ['ar=1:1', landscape, [300, 300], [300, 200]],
    ['ar=3:1', landscape, [600, 200], [300, 200]],
    ['w=100&h=100&dpr=2', landscape, [200, 200], [200, 133]],
  ],
  fillmax: [
    ['w=600&h=600', landscape, [600, 600], [300, 200]],
    ['w=100&h=100', landscape, [100, 100], [100, 67]],
    ['w=600', landscape, [600, 400], [300, 200]],
    ['w=150', landscape, [150, 100]],
    ['w=600&h=100', landscape, [600, 100], [150, 100]],
    ['ar=1:1', landscape, [300, 200]],
  ],
  clamp: [
    ['w=100&h=100', landscape, [100, 100], [100, 67]],
    ['w=600&h=600', landscape, [600, 600], [600, 400]],
    ['w=600', landscape, [600, 400]],
  ],
  min: [
    ['w=500&h=200', landscape, [300, 120]],
    ['w=200&h=400', landscape, [100, 200]],
    ['w=600&h=400', landscape, [300, 200]],
    ['w=100&h=100', landscape, [100, 100]],
    ['w=100&h=100&dpr=5', landscape, [200, 200]],
    ['w=600', landscape, [300, 200]],
    ['w=150', landscape, [150, 100]],
    ['h=400', landscape, [300, 200]],
  ],
  scale: [
    ['w=600&h=100', landscape, [600, 100]],
    ['w=50&h=50&dpr=2', landscape, [100, 100]],
    ['w=150', landscape, [150, 100]],
    ['h=400', landscape, [600, 400]],
  ],
  facearea: [
    ['w=100&h=100', landscape, [100, 100]],
    ['w=100', landscape, [100, 67]],
  ],
  'facearea,max': [['w=600&h=600', landscape, [300, 200]]],
}

describe.each(Object.entries(rows))('fit=%s', (fit, cases) => {
  for (const [query, from, want, picture = want] of cases) {
    test(`${query} of ${from.join('x')} is ${want.join('x')}`, () => {
      const plan = planRender(`fit=${fit}&fm=jpg&${query}`, metadataOf(...from))
      expect(sizeOf(plan)).toEqual(want)
      expect(pictureSize(plan)).toEqual(picture)
    })
  }

  test('no size asked for: the size of the source, and dpr below 1 shrinks it', () => {
    for (const [query, want] of [
      ['', [300, 200]],
      ['&dpr=3', [300, 200]],
      ['&dpr=0.5', [150, 100]],
    ] as const) {
      expect(sizeOf(planRender(`fm=jpg&fit=${fit}${query}`, metadataOf(...landscape)))).toEqual(want)
    }
  })
})

test('sizes are those of the picture as it stands upright', () => {
  const lying = metadataOf(300, 200, { orientation: 6 })
  expect(sizeOf(planRender('w=100', lying))).toEqual([100, 150])
  expect(sizeOf(planRender('w=150&orient=1', lying))).toEqual([150, 100])
  expect(sizeOf(planRender('w=150&orient=0', lying))).toEqual([150, 100])
  expect(planRender('w=150&orient=0', lying).operations.map(({ op }) => op)).toEqual(['resize'])
  expect(sizeOf(planRender('w=100&orient=270', metadataOf(300, 200)))).toEqual([100, 150])
})

describe('the cap of 8192 px', () => {
  const capped: readonly Row[] = [
    ['w=8000&dpr=5', [11_400, 7600], [8192, 5461]],
    ['w=5000&h=2500&fit=crop&dpr=4', [10_000, 5000], [8192, 4096]],
    ['w=5000&h=5000&fit=fill&dpr=4', [10_000, 9000], [8192, 8192]],
    ['fm=jpg', [20000, 4000], [8192, 1638]],
    ['fit=crop&ar=1:1&fm=jpg', [9000, 9000], [8192, 8192]],
    ['w=8192&fit=scale&h=2', landscape, [8192, 2]],
  ]

  for (const [query, from, want] of capped) {
    test(`${query} of ${from.join('x')} comes out as ${want.join('x')}`, () => {
      expect(sizeOf(planRender(query, metadataOf(...from), acceptsNone, { mozjpeg: false }))).toEqual(want)
    })
  }
})

test('no side ever gets 0 px', () => {
  expect(sizeOf(planRender('w=100', metadataOf(8000, 2)))).toEqual([100, 1])
  expect(sizeOf(planRender('h=2&dpr=0.01', metadataOf(100, 100)))).toEqual([1, 1])
})

test('an enlarged animation stays within the pixels allowed for all its frames', () => {
  const plan = planRender('w=8192', metadataOf(10, 10, { format: 'gif', frames: 100 }))
  expect(plan.width * plan.height * 100).toBeLessThanOrEqual(100_000_000)
})

test('says what was done about the size', () => {
  expect(planRender('w=100&h=100', metadataOf(300, 200)).reasons[1]).toBe('fit=clip: 300x200 is scaled to 100x67.')
})
