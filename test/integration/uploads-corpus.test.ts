import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { AppError } from '../../src/errors.ts'
import { decodeHeic } from '../../src/transform/executor/decode-heic.ts'
import { examineImage } from '../../src/transform/executor/examine-image.ts'
import { probeImage } from '../../src/transform/executor/probe-image.ts'
import { stripMetadata } from '../../src/transform/image/metadata-edits/strip-metadata.ts'

const corpus = resolve(import.meta.dirname, '../../../shared/corpus')
const isThere = existsSync(corpus)
if (!isThere) console.log('skipped: the shared corpus is not at ../shared/corpus')
const filesOf = (group: string) => (isThere ? readdirSync(join(corpus, group)).sort() : [])
const limits = { maxPixels: 100_000_000, maxFrames: 200, allowSvg: true, timeoutSeconds: 30 }

describe.skipIf(!isThere)('uploads of the shared corpus', () => {
  const healthy = ['formats', 'metadata', 'orientation', 'photos'].flatMap((group) =>
    filesOf(group).map((file) => [group, file] as const),
  )
  test.each(healthy)('%s/%s is accepted, and loses nothing but its metadata', async (group, file) => {
    const bytes = readFileSync(join(corpus, group, file))
    const { facts } = await examineImage(bytes, limits)
    expect(Buffer.from(facts.thumbhash, 'base64').length).toBeGreaterThan(4)
    const { format, orientation } = await probeImage(bytes, limits)
    if (format === 'svg') return
    const { bytes: stripped } = stripMetadata(bytes, { format, orientation })
    const pixels = async (one: Buffer) =>
      sharp(format === 'heic' ? await decodeHeic(one) : one, { animated: facts.frames > 1 })
        .raw()
        .toBuffer()
    expect((await pixels(stripped)).equals(await pixels(bytes))).toBe(true)
    const [was, is] = [await sharp(bytes).metadata(), await sharp(stripped).metadata()]
    expect([is.orientation ?? 1, is.icc, is.delay]).toEqual([was.orientation ?? 1, was.icc, was.delay])
    expect([is.xmp, is.iptc]).toEqual([undefined, undefined])
    expect(is.exif?.length ?? 0).toBeLessThanOrEqual(32)
  })

  test('whatever is malformed is accepted as a picture or refused as a 4xx', async () => {
    for (const file of filesOf('malformed')) {
      const outcome = await examineImage(readFileSync(join(corpus, 'malformed', file)), limits).catch(
        (error: unknown) => error,
      )
      if (outcome instanceof Error) expect([file, outcome instanceof AppError && outcome.status]).toEqual([file, 422])
    }
  })
})
