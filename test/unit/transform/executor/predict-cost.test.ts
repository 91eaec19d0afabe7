import { describe, expect, test } from 'vitest'
import {
  createCostCorrection,
  predictCost,
  predictUnknownCost,
} from '../../../../src/transform/executor/predict-cost.ts'
import type { ImageMetadata } from '../../../../src/transform/image/image-metadata.ts'
import { acceptsAll, acceptsWebp, metadataOf, planQuery } from '../../../helpers/plan-request.ts'

const photo = metadataOf(4608, 3456, { byteLength: 3_100_000 })

function total(query: string, metadata: ImageMetadata = photo, capabilities = acceptsWebp): number {
  const { decodeMs, drawMs, encodeMs } = predictCost(
    metadata,
    planQuery(query, metadata, capabilities, { avifEffort: 0 }),
  )
  return decodeMs + drawMs + encodeMs
}

describe('prediction', () => {
  // Measured on one thread, bare sharp, ms: webp 800 58, 1600 138, 2048 175; avif 800 63, 2048 210.
  test.each([
    ['w=320&fm=webp', 37],
    ['w=800&fm=webp', 58],
    ['w=1600&fm=webp', 138],
    ['w=2048&fm=webp', 175],
    ['w=800&fm=avif', 63],
    ['w=2048&fm=avif', 210],
  ])('%s is within a third of what was measured', (query, measuredMs) => {
    const ratio = total(query, photo, acceptsAll) / measuredMs
    expect(ratio).toBeGreaterThan(0.67)
    expect(ratio).toBeLessThan(1.5)
  })

  test('more pixels, frames, effort and harder formats cost more', () => {
    expect(total('w=1600&fm=webp')).toBeGreaterThan(total('w=800&fm=webp'))
    expect(total('w=800&fm=webp', { ...photo, format: 'heic' })).toBeGreaterThan(1000)
    const still = metadataOf(600, 400, { format: 'gif', frames: 1 })
    expect(total('w=300&fm=webp', { ...still, frames: 60 })).toBeGreaterThan(20 * total('w=300&fm=webp', still))
    const avif = (avifEffort: number) =>
      predictCost(photo, planQuery('w=800&fm=avif', photo, acceptsAll, { avifEffort }))
    expect(avif(4).encodeMs).toBeGreaterThan(20 * avif(0).encodeMs)
  })

  const drawing = metadataOf(600, 400, { format: 'svg' })
  const gif = metadataOf(600, 400, { format: 'gif', frames: 60 })
  test.each([
    ['lossless', 'w=1600&fm=webp&lossless=true', 'w=1600&fm=webp', photo, 5],
    ['a fine WebP', 'w=1600&fm=webp&q=95', 'w=1600&fm=webp', photo, 1.1],
    ['a palette', 'w=1600&fm=png8', 'w=1600&fm=png', photo, 1.5],
    ['enhance', 'w=1600&fm=webp&auto=enhance', 'w=1600&fm=webp', photo, 1.3],
    ['a blurred fill', 'w=1600&h=1600&fit=fill&fill=blur&fm=webp', 'w=1600&h=1600&fit=fill&fm=webp', photo, 1.2],
    ['another colour space', 'w=1600&fm=webp&cs=adobergb1998', 'w=1600&fm=webp&cs=origin', photo, 1.05],
    ['a larger SVG', 'w=2400&fm=webp', 'w=600&fm=webp', drawing, 10],
    ['a GIF with another palette', 'w=300&fm=gif&auto=enhance', 'w=300&fm=gif', gif, 1.5],
  ])('%s costs more than without', (_, heavy, light, metadata, atLeast) => {
    expect(total(heavy, metadata) / total(light, metadata)).toBeGreaterThan(atLeast)
  })

  test('of a drawing that is kept only the encoder is left to pay, and a heavier one costs more', () => {
    const encodeMs = (query: string) => predictCost(photo, planQuery(query, photo, acceptsWebp)).encodeMs
    expect(encodeMs('w=1600&fm=webp&auto=enhance')).toBe(encodeMs('w=1600&fm=webp'))
    expect(encodeMs('w=1600&fm=webp&lossless=true')).toBeGreaterThan(5 * encodeMs('w=1600&fm=webp'))
  })

  test('before the header is read, the length speaks', () => {
    expect(predictUnknownCost(50_000_000).decodeMs).toBeGreaterThan(predictUnknownCost(1_000_000).decodeMs)
  })
})

describe('correction', () => {
  test('follows what renders take, one kind apart from another', () => {
    const correction = createCostCorrection()
    for (let n = 0; n < 60; n++) correction.learn('jpeg>avif', 100, 300)
    expect(correction.factor('jpeg>avif')).toBeCloseTo(3, 1)
    expect(correction.factor('jpeg>webp')).toBe(1)
  })

  test('one odd render moves it little, and nothing moves it out of bounds', () => {
    const correction = createCostCorrection()
    correction.learn('k', 1, 1_000_000)
    expect(correction.factor('k')).toBeLessThan(3)
    for (let n = 0; n < 500; n++) correction.learn('k', 1, 1_000_000)
    expect(correction.factor('k')).toBeLessThanOrEqual(20)
    correction.learn('zero', 0, 100)
    expect(correction.factor('zero')).toBe(1)
  })
})
