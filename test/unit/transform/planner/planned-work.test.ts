import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { inputFormats } from '../../../../src/transform/image/formats.ts'
import type { ImageMetadata, Orientation } from '../../../../src/transform/image/image-metadata.ts'
import { plannedWork, workLimits } from '../../../../src/transform/planner/planned-work.ts'
import {
  acceptsAll,
  acceptsNone,
  acceptsWebp,
  metadataOf,
  planQuery,
  planRender,
} from '../../../helpers/plan-request.ts'

// As configured by default.
const limits = { mozjpeg: false, avifEffort: 0, maxPixels: 120_000_000, maxFrames: 256 }
const small = metadataOf(1024, 683)
const huge = metadataOf(11_547, 8660)
const gif = metadataOf(680, 680, { format: 'gif', frames: 250, hasAlpha: true })

function plan(query: string, metadata: ImageMetadata, client = acceptsNone) {
  const rendering = planRender(query, metadata, client, limits)
  const { width, height, output, reasons, input } = rendering
  return { rendering, width, height, pixels: width * height * input.frames, output, reasons }
}

describe('a single short URL is never much work', () => {
  test.each<[string, ImageMetadata]>([
    ['w=8192&h=8192&fit=scale&fm=webp&lossless=1', small],
    ['w=8192&h=8192&fit=fill&fill=blur&auto=enhance&fm=png', small],
    ['w=8192&h=8192&fit=scale&fm=gif', small],
    ['w=8192&h=8192&fit=scale&fm=png8', small],
    ['w=8192&h=8192&fit=crop&crop=entropy&auto=enhance&fm=png32&cs=adobergb1998', small],
    ['w=8192&h=8192', metadataOf(400, 400, { format: 'gif', frames: 30 })],
    ['w=680&h=680&fit=fill&fill=blur&auto=enhance&orient=90&rect=0,0,1.0,0.5', gif],
    ['fm=webp&lossless=1', gif],
    ['fm=webp&lossless=1', huge],
    ['fm=png8', huge],
    ['w=8192&h=8&fit=crop&crop=entropy', huge],
  ])('%s', (query, metadata) => {
    expect(plannedWork(plan(query, metadata).rendering, metadata)).toBeLessThanOrEqual(workLimits.maxWorkMs)
  })

  const numbers = fc.constantFrom('2', '77', '1000', '4096', '8192', '0.5')
  const queries = fc
    .record(
      {
        w: numbers,
        h: numbers,
        dpr: fc.constantFrom('0.1', '2', '5'),
        fit: fc.constantFrom('clip', 'crop', 'fill', 'fillmax', 'clamp', 'min', 'scale'),
        crop: fc.constantFrom('entropy', 'edges', 'focalpoint', 'top'),
        'fp-z': fc.constantFrom('1.5', '100'),
        ar: fc.constantFrom('1:1', '10000:1'),
        rect: fc.constantFrom('0,0,10,10', '0.1,0.1,0.8,0.8'),
        fill: fc.constantFrom('solid', 'blur'),
        auto: fc.constantFrom('enhance', 'format,enhance', 'compress'),
        fm: fc.constantFrom('jpg', 'png', 'png8', 'png32', 'webp', 'avif', 'gif'),
        lossless: fc.constant('1'),
        q: fc.constantFrom('1', '100'),
        cs: fc.constantFrom('adobergb1998', 'srgb'),
        orient: fc.constantFrom('3', '90'),
        bg: fc.constantFrom('red', '80ffffff'),
      },
      { requiredKeys: [] },
    )
    .map((params) => new URLSearchParams({ flip: 'h', ...params } as Record<string, string>).toString())
  const sides = fc.constantFrom(1, 100, 3000, 7500)
  const pictures: fc.Arbitrary<ImageMetadata> = fc.record({
    format: fc.constantFrom(...inputFormats),
    width: sides,
    height: sides,
    orientation: fc.constantFrom<Orientation>(1, 6),
    hasAlpha: fc.boolean(),
    frames: fc.constantFrom(1, 2, 250),
    colorSpace: fc.constant('srgb'),
    hasProfile: fc.constant(false),
    byteLength: fc.constant(1000),
  })

  test('whatever is asked for', () => {
    const settings = fc.record({
      mozjpeg: fc.boolean(),
      avifEffort: fc.integer({ min: 0, max: 9 }),
      webpEffort: fc.integer({ min: 0, max: 6 }),
      avifMaxPixels: fc.constantFrom(0, 2_100_000, 67_000_000),
    })
    fc.assert(
      fc.property(queries, pictures, settings, (query, metadata, other) => {
        const decoded = metadata.width * metadata.height * metadata.frames
        fc.pre(metadata.format === 'svg' || decoded <= limits.maxPixels)
        const rendering = planQuery(query, metadata, acceptsAll, { ...limits, ...other })
        if (rendering.kind === 'passthrough') return
        expect(plannedWork(rendering, metadata)).toBeLessThanOrEqual(workLimits.maxWorkMs)
        expect(Math.max(rendering.width, rendering.height)).toBeLessThanOrEqual(8192)
      }),
      { numRuns: 3000 },
    )
  })
})

describe('what people need is left alone', () => {
  test.each([
    ['w=8000&fm=jpg', 8000, 6000],
    ['w=8000&fm=webp', 8000, 6000],
    ['w=8000&fm=webp&q=95', 8000, 6000],
    ['w=6000&fm=jpg&auto=enhance', 6000, 4500],
    ['w=6000&fm=png', 6000, 4500],
    ['w=3500&fm=png8', 3500, 2625],
    ['w=2000&fm=webp&lossless=1', 2000, 1500],
  ])('%s of a picture of 100 megapixels', (query, width, height) => {
    const { reasons, ...rest } = plan(query, huge)
    expect(rest).toMatchObject({ width, height })
    expect(reasons).toHaveLength(2)
    if (query.includes('lossless')) expect(rest.output).toMatchObject({ lossless: true })
    if (query.includes('png8')) expect(rest.output).toMatchObject({ palette: true })
  })

  test('an animation of usual size keeps it, in GIF and in WebP', () => {
    const usual = metadataOf(480, 360, { format: 'gif', frames: 90 })
    expect(plan('flip=h', usual)).toMatchObject({ width: 480, height: 360 })
    expect(plan('w=470&fit=max&auto=format', usual, acceptsWebp)).toMatchObject({
      width: 470,
      output: { format: 'webp' },
    })
  })

  test('an SVG is enlarged as far as the cap', () => {
    expect(plan('w=8192&fm=jpg', metadataOf(10, 10, { format: 'svg' })).width).toBe(8192)
  })
})

describe('giving way', () => {
  test('a picture is enlarged up to 16 megapixels, or to what it has, and is told so', () => {
    const { pixels, reasons, width, height } = plan('w=8192&fm=jpg', small)
    expect(pixels).toBeLessThanOrEqual(16_010_000)
    expect(pixels).toBeGreaterThan(15_900_000)
    expect(width / height).toBeCloseTo(1024 / 683, 2)
    expect(reasons.at(-1)).toBe('Smaller than 8192x5464: enlarging ends at 16 megapixels.')
    expect(plan('w=8000&h=8000&fit=scale&fm=jpg', metadataOf(8000, 4000)).pixels).toBeLessThanOrEqual(32_010_000)
  })

  test('lossless WebP becomes nearly lossless, at its size', () => {
    const { output, width, reasons } = plan('w=4000&fm=webp&lossless=1&q=20', metadataOf(4608, 3456))
    expect(output).toMatchObject({ format: 'webp', lossless: false, quality: 94 })
    expect(width).toBe(4000)
    expect(reasons).toContain('Too large for lossless, so nearly lossless.')
  })

  test('png8 keeps its size and all colours', () => {
    expect(plan('w=5000&fm=png8', huge)).toMatchObject({ width: 5000, output: { format: 'png', palette: false } })
  })

  test('GIF has no simpler form and becomes smaller', () => {
    const { pixels, output, reasons } = plan('w=5000&fm=gif', huge)
    expect(output).toEqual({ format: 'gif' })
    expect(pixels).toBeLessThan(11_000_000)
    expect(reasons.at(-1)).toContain('more would take too long')
  })

  test('animations become smaller in all frames, which are turned only then', () => {
    const { rendering, pixels } = plan('orient=90&fm=webp&auto=enhance', gif)
    expect(pixels).toBeLessThanOrEqual(workLimits.maxAnimatedPixels)
    expect(rendering.input.frames).toBe(250)
    expect(rendering.operations.map(({ op }) => op)).toEqual(['resize', 'orient', 'enhance'])
  })

  test('AVIF of an effort that takes seconds gives way to WebP earlier', () => {
    const at = (avifEffort: number) =>
      planRender('fm=avif&w=1500', small, acceptsAll, { ...limits, avifEffort }).output.format
    expect([at(0), at(9)]).toEqual(['avif', 'webp'])
  })
})
