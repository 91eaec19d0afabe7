import { expect, test } from 'vitest'
import { mapQuality, qualityTable } from '../../../../src/transform/planner/choose-quality.ts'
import type { LossyFormat } from '../../../../src/transform/planner/choose-quality.ts'

test.each(Object.keys(qualityTable) as LossyFormat[])(
  '%s quality rises with q, in whole numbers from 1 to 100',
  (format) => {
    const qualities = Array.from({ length: 101 }, (_, q) => mapQuality(format, q))
    expect(qualities[0]).toBe(1)
    for (const [q, quality] of qualities.entries()) {
      expect(Number.isInteger(quality)).toBe(true)
      expect(quality).toBeLessThanOrEqual(100)
      expect(quality).toBeGreaterThanOrEqual(qualities[q - 1] ?? 1)
    }
  },
)

test('each point of the table is met exactly', () => {
  for (const format of Object.keys(qualityTable) as LossyFormat[]) {
    for (const [q, quality] of qualityTable[format]) expect(mapQuality(format, q)).toBe(quality)
  }
})

test('AVIF needs a lower number than JPEG to look alike', () => {
  expect(mapQuality('avif', 75)).toBeLessThan(mapQuality('jpeg', 75))
})
