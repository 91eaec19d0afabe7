import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { decodeHeic } from '../../../../src/transform/executor/decode-heic.ts'
import { executorLimits } from '../../../../src/transform/executor/executor-limits.ts'

const phonePicture = resolve(import.meta.dirname, '../../../../../shared/corpus/formats/iphone13.heic')
const isThere = existsSync(phonePicture)
if (!isThere) console.log('skipped: the shared corpus is not at ../shared/corpus')

/** The same boxes as a HEIC has; only the codec in them is another. */
const boxes = () =>
  sharp({ create: { width: 64, height: 64, channels: 3, background: '#c43' } })
    .avif({ effort: 0 })
    .toBuffer()

describe('decodeHeic', () => {
  test('refuses a file whose image data goes on beyond its end', async () => {
    const whole = await boxes()
    for (const length of [whole.length - 1, whole.indexOf('mdat') + 5]) {
      await expect(decodeHeic(whole.subarray(0, length))).rejects.toMatchObject({
        code: 'undecodable',
        detail: expect.stringContaining('ends before') as string,
      })
    }
  })

  test('refuses more pixels than it has memory for, before it decodes one', async () => {
    const bytes = await boxes()
    const side = Math.ceil(Math.sqrt(executorLimits.heicMaxPixels)) + 1
    const extents = bytes.indexOf('ispe') + 8
    bytes.writeUInt32BE(side, extents)
    bytes.writeUInt32BE(side, extents + 4)
    await expect(decodeHeic(bytes)).rejects.toMatchObject({
      code: 'too_many_pixels',
      details: { limit: executorLimits.heicMaxPixels, got: side * side },
    })
  })

  test('calls what its decoder cannot read undecodable', async () => {
    await expect(decodeHeic(await boxes())).rejects.toMatchObject({ code: 'undecodable' })
  })

  test.skipIf(!isThere)('reads a phone picture whole, also with something appended, and no part of one', async () => {
    const whole = readFileSync(phonePicture)
    const decoded = await decodeHeic(Buffer.concat([whole, Buffer.from('appended by the phone')]))
    expect(await sharp(decoded).metadata()).toMatchObject({ width: 3024, height: 4032 })
    for (const share of [0.25, 0.5, 0.95]) {
      const part = whole.subarray(0, Math.floor(whole.length * share))
      await expect(decodeHeic(part)).rejects.toMatchObject({ code: 'undecodable' })
    }
  })
})
