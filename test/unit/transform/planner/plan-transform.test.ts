import { describe, expect, test } from 'vitest'
import { acceptsAll, metadataOf, planQuery, planRender } from '../../../helpers/plan-request.ts'

const jpeg = metadataOf(300, 200)
const png = metadataOf(300, 200, { format: 'png', hasAlpha: true })

test('the steps come in the order orient, rect, size, flip, enhance, fill', () => {
  const query = 'flip=h&rect=0,0,150,150&w=100&h=50&fit=fill&fm=jpg&auto=enhance,redeye&bg=f00'
  const { operations } = planRender(query, metadataOf(300, 200, { format: 'png', hasAlpha: true, orientation: 8 }))
  expect(operations.map(({ op }) => op)).toEqual([
    'orient',
    'extract',
    'resize',
    'flip',
    'enhance',
    'extend',
    'flatten',
  ])
})

test('a plan is plain JSON', () => {
  const plan = planRender('w=100&h=50&fit=fill&auto=format', png, acceptsAll)
  expect(JSON.parse(JSON.stringify(plan))).toEqual(plan)
})

test.each([
  ['h', true, false],
  ['v', false, true],
  ['hv', true, true],
])('flip=%s', (flip, horizontal, vertical) => {
  expect(planRender(`flip=${flip}`, jpeg).operations).toEqual([{ op: 'flip', horizontal, vertical }])
})

describe('passthrough', () => {
  test.each(['', 's=1&ixlib=x&expires=9&dl=a.jpg', 'utm_source=1'])('%j sends the original', (query) => {
    expect(planQuery(query, metadataOf(300, 200, { orientation: 6 }))).toEqual({
      kind: 'passthrough',
      format: 'jpeg',
      sanitize: false,
      width: 200,
      height: 300,
    })
  })

  test('an SVG is sanitised', () => {
    expect(planQuery('', metadataOf(10, 10, { format: 'svg' }))).toMatchObject({ kind: 'passthrough', sanitize: true })
  })

  test('limits of rendering do not matter', () => {
    expect(planQuery('', metadataOf(50_000, 50_000)).kind).toBe('passthrough')
  })
})

describe('fill', () => {
  const red = { r: 255, g: 0, b: 0, alpha: 1 }
  const blue = { r: 0, g: 0, b: 255, alpha: 1 }
  const white = { r: 255, g: 255, b: 255, alpha: 1 }

  test.each([
    ['fm=jpg', jpeg, [{ kind: 'color', color: white }]],
    ['fm=png', jpeg, [{ kind: 'color', color: { ...white, alpha: 0 } }]],
    ['fm=jpg&bg=f00', jpeg, [{ kind: 'color', color: red }]],
    ['fm=png&fill-color=00f&bg=f00', jpeg, [{ kind: 'color', color: blue }]],
    ['fm=jpg&fill=blur&bg=f00', jpeg, [{ kind: 'blur' }]],
    ['fm=jpg&fill=gen&fill-color=00f', jpeg, [{ kind: 'color', color: blue }]],
  ])('%s', (query, original, fills) => {
    const { operations } = planRender(`w=300&h=300&fit=fill&${query}`, original)
    expect(operations.flatMap((operation) => (operation.op === 'extend' ? [operation.fill] : []))).toEqual(fills)
  })

  test('fit=clamp repeats the edge', () => {
    const { operations } = planRender('w=300&h=301&fit=clamp&fm=jpg', jpeg)
    expect(operations).toEqual([{ op: 'extend', top: 50, right: 0, bottom: 51, left: 0, fill: { kind: 'edge' } }])
  })

  test('no gap, no canvas', () => {
    expect(planRender('w=150&h=100&fit=fill', jpeg).operations.map(({ op }) => op)).toEqual(['resize'])
  })
})

describe('flatten', () => {
  const colors = (query: string, original = png) =>
    planRender(query, original).operations.flatMap((operation) => (operation.op === 'flatten' ? [operation.color] : []))

  test.each([
    ['fm=jpg', [[255, 255, 255]]],
    ['fm=jpg&bg=f00', [[255, 0, 0]]],
    ['fm=jpg&bg=80ff0000', [[255, 127, 127]]],
    ['fm=png&bg=f00', [[255, 0, 0]]],
    ['fm=png', []],
    ['fm=webp&bg=80ff0000', []],
    ['fm=png32', []],
  ])('a transparent picture with %s', (query, want) => {
    expect(colors(query).map(({ r, g, b }) => [r, g, b])).toEqual(want)
  })

  test('an opaque picture is left alone, whatever bg says', () => {
    expect(colors('fm=jpg&bg=f00', jpeg)).toEqual([])
  })

  test('a see-through fill colour in a JPEG lies on bg', () => {
    expect(colors('w=300&h=300&fit=fill&fm=jpg&fill-color=80ff0000&bg=00f', jpeg)).toHaveLength(1)
  })
})

describe('limits', () => {
  const gif = (frames: number) => metadataOf(100, 100, { format: 'gif', frames })

  test.each([
    ['too_many_pixels', 'w=10', metadataOf(10_001, 10_000), { limit: 100_000_000, got: 100_010_000 }],
    ['too_many_frames', 'w=10', gif(301), { limit: 300, got: 301 }],
    ['too_many_frames', 'auto=format', gif(301), { limit: 300, got: 301 }],
  ])('%s', (code, query, original, details) => {
    expect(() => planQuery(query, original, acceptsAll)).toThrow(expect.objectContaining({ code, details }))
  })

  test('pixels count in all frames that are decoded', () => {
    const original = metadataOf(1000, 1000, { format: 'gif', frames: 101 })
    expect(() => planQuery('w=10', original)).toThrow(expect.objectContaining({ code: 'too_many_pixels' }))
    expect(planRender('fm=png&w=10', original).input.frames).toBe(1)
  })

  test('the frames of an animation that is written as a still picture do not matter', () => {
    expect(planRender('fm=jpg', gif(5000)).input.frames).toBe(1)
  })

  test('at the limit is allowed', () => {
    expect(planRender('w=10', metadataOf(10_000, 10_000)).width).toBe(10)
    expect(planRender('w=10', gif(300)).input.frames).toBe(300)
  })
})

describe('SVG', () => {
  const svg = metadataOf(100, 50, { format: 'svg', hasAlpha: true })

  test.each([
    ['w=1000', 10, 1000, 500],
    ['w=50', 0.5, 50, 25],
    ['h=100&w=100&fit=crop', 2, 100, 100],
    ['w=1000&fit=max', 1, 100, 50],
    ['fm=png', 1, 100, 50],
    ['fit=scale&w=300&h=300', 6, 300, 300],
  ])('%s is drawn at %d times its size', (query, scale, width, height) => {
    expect(planRender(query, svg)).toMatchObject({ input: { scale }, width, height })
  })

  test('a region is cut out of what was drawn large enough', () => {
    const plan = planRender('rect=10,10,50,20&w=500', svg)
    expect(plan.input.scale).toBe(10)
    expect(plan.operations).toEqual([
      { op: 'resize', width: 1000, height: 500 },
      { op: 'extract', left: 100, top: 100, width: 500, height: 200 },
      { op: 'resize', width: 500, height: 200 },
    ])
  })

  test('is never drawn larger than the cap, nor beyond the pixel limit', () => {
    const plan = planRender('rect=0,0,2,2&w=1000', svg)
    expect(plan.input.scale * 100).toBeLessThanOrEqual(8192)
    expect(plan.width).toBe(1000)
    expect(planRender('w=8000&h=8000&fit=scale', svg, acceptsAll, { maxPixels: 1_000_000 }).width).toBe(1000)
    expect(planRender('fm=jpg', metadataOf(1e6, 1e6, { format: 'svg' }), acceptsAll, { mozjpeg: false }).width).toBe(
      8192,
    )
  })

  test('a size that the file does not name is at least one px', () => {
    expect(planRender('w=64', metadataOf(0, 0, { format: 'svg' }))).toMatchObject({ width: 64, height: 64 })
  })
})
