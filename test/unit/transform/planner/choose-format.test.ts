import { describe, expect, test } from 'vitest'
import type { ImageMetadata } from '../../../../src/transform/image/image-metadata.ts'
import { acceptsAll, acceptsNone, acceptsWebp, metadataOf, planRender } from '../../../helpers/plan-request.ts'

const jpeg = metadataOf(300, 200)
const png = metadataOf(300, 200, { format: 'png', hasAlpha: true })
const opaquePng = metadataOf(300, 200, { format: 'png' })
const webp = metadataOf(300, 200, { format: 'webp' })
const avif = metadataOf(300, 200, { format: 'avif' })
const heic = metadataOf(300, 200, { format: 'heic' })
const tiff = metadataOf(300, 200, { format: 'tiff', hasAlpha: true, frames: 3 })
const svg = metadataOf(300, 200, { format: 'svg', hasAlpha: true })
const gif = metadataOf(300, 200, { format: 'gif', frames: 8, hasAlpha: true })
const stillGif = metadataOf(300, 200, { format: 'gif' })
const animatedWebp = metadataOf(300, 200, { format: 'webp', frames: 8 })
const huge = metadataOf(3000, 2000)
const avifOnly = { avif: true, webp: false }

type Row = readonly [query: string, original: ImageMetadata, client: typeof acceptsAll, format: string]

const rows: Record<string, readonly Row[]> = {
  'without auto': [
    ['w=9', jpeg, acceptsAll, 'jpeg'],
    ['w=9', png, acceptsNone, 'png'],
    ['w=9', webp, acceptsNone, 'webp'],
    ['w=9', avif, acceptsNone, 'avif'],
    ['w=9', heic, acceptsAll, 'jpeg'],
    ['w=9', tiff, acceptsNone, 'png'],
    ['w=9&bg=fff', tiff, acceptsNone, 'jpeg'],
    ['w=9', svg, acceptsNone, 'png'],
    ['w=9', gif, acceptsAll, 'gif'],
    ['w=9', stillGif, acceptsAll, 'gif'],
    ['fm=webp', jpeg, acceptsNone, 'webp'],
    ['fm=avif', jpeg, acceptsNone, 'avif'],
    ['fm=avif', huge, acceptsNone, 'webp'],
    ['fm=pjpg', png, acceptsAll, 'jpeg'],
    ['fm=png8', jpeg, acceptsNone, 'png'],
    ['fm=mp4&w=9', gif, acceptsNone, 'gif'],
    ['fm=jp2&w=9', jpeg, acceptsNone, 'jpeg'],
    ['fm=jpg', gif, acceptsNone, 'jpeg'],
  ],
  'auto=format': [
    ['auto=format', jpeg, acceptsAll, 'avif'],
    ['auto=format', jpeg, avifOnly, 'avif'],
    ['auto=format', jpeg, acceptsWebp, 'webp'],
    ['auto=format', jpeg, acceptsNone, 'jpeg'],
    ['auto=format&fm=png', jpeg, acceptsAll, 'avif'],
    ['auto=format&fm=png', jpeg, acceptsNone, 'png'],
    ['auto=format', png, acceptsNone, 'png'],
    ['auto=format', avif, acceptsNone, 'jpeg'],
    ['auto=format', webp, acceptsNone, 'jpeg'],
    ['auto=format', heic, acceptsNone, 'jpeg'],
    ['auto=format', svg, acceptsNone, 'png'],
    ['auto=format', svg, acceptsAll, 'avif'],
    ['auto=format', gif, acceptsAll, 'webp'],
    ['auto=format', gif, avifOnly, 'gif'],
    ['auto=format', gif, acceptsNone, 'gif'],
    ['auto=format', animatedWebp, acceptsNone, 'gif'],
    ['auto=format&fm=jpg', gif, acceptsAll, 'webp'],
    ['auto=format&fm=jpg', gif, acceptsNone, 'jpeg'],
    ['auto=format', stillGif, acceptsAll, 'avif'],
    ['auto=format', huge, acceptsAll, 'webp'],
    ['auto=format', huge, avifOnly, 'jpeg'],
    ['auto=format&w=1000', huge, acceptsAll, 'avif'],
  ],
  'auto=compress': [
    ['auto=compress', jpeg, acceptsAll, 'jpeg'],
    ['auto=compress', png, acceptsAll, 'png'],
    ['auto=compress&bg=fff', png, acceptsAll, 'jpeg'],
    ['auto=compress', opaquePng, acceptsAll, 'jpeg'],
    ['auto=compress&fm=webp', jpeg, acceptsAll, 'jpeg'],
    ['auto=compress&fm=gif', jpeg, acceptsAll, 'jpeg'],
    ['auto=compress', gif, acceptsAll, 'gif'],
    ['auto=compress&fm=webp', gif, acceptsAll, 'webp'],
    ['auto=compress&fm=gif', animatedWebp, acceptsAll, 'webp'],
    ['auto=compress,format', jpeg, acceptsAll, 'avif'],
    ['auto=compress,format', png, acceptsWebp, 'webp'],
    ['auto=compress,format&fm=webp', jpeg, acceptsNone, 'jpeg'],
    ['auto=compress,format', png, acceptsNone, 'png'],
    ['auto=true', gif, acceptsAll, 'webp'],
  ],
}

describe.each(Object.entries(rows))('%s', (_, cases) => {
  test.each(cases)('%s (row %#)', (query, original, client, format) => {
    const { output, reasons } = planRender(query, original, client)
    expect(output.format).toBe(format)
    expect(reasons).toHaveLength(2)
    expect(reasons[0]).toMatch(/^\S.*\.$/)
  })
})

describe('frames', () => {
  test.each([
    ['w=9', gif, 8],
    ['auto=format', gif, 8],
    ['fm=webp', gif, 8],
    ['fm=png', gif, 1],
    ['fm=avif', gif, 1],
    ['w=9', tiff, 1],
  ])('%s', (query, original, frames) => {
    expect(planRender(query, original, acceptsAll).input.frames).toBe(frames)
  })
})

describe('encoder settings', () => {
  test.each([
    ['fm=png', { format: 'png', palette: false, alpha: 'keep' }],
    ['fm=png8', { format: 'png', palette: true, alpha: 'keep' }],
    ['fm=png32', { format: 'png', palette: false, alpha: 'force' }],
    ['fm=gif', { format: 'gif' }],
    ['fm=jpg', { format: 'jpeg', quality: 75, progressive: true, mozjpeg: true }],
    ['fm=jpg&q=0', { format: 'jpeg', quality: 1, progressive: true, mozjpeg: true }],
    ['auto=compress', { format: 'jpeg', quality: 45, progressive: true, mozjpeg: true }],
    ['auto=compress&q=80', { format: 'jpeg', quality: 80, progressive: true, mozjpeg: true }],
    ['fm=webp&lossless=1', { format: 'webp', quality: 76, effort: 2, lossless: true }],
    ['fm=webp&lossless=nope', { format: 'webp', quality: 76, effort: 2, lossless: false }],
  ])('%s', (query, output) => {
    expect(planRender(query, jpeg).output).toEqual(output)
  })

  test('png8 is the small PNG of auto=compress,format, plain PNG that of auto=compress', () => {
    expect(planRender('auto=compress,format', png).output).toMatchObject({ palette: true })
    expect(planRender('auto=compress', png).output).toMatchObject({ palette: false })
  })

  test.each([
    ['w=9', 'origin'],
    ['cs=strip', 'strip'],
    ['cs=adobergb1998', 'adobergb1998'],
  ])('%s is written in colour space %s', (query, color) => {
    expect(planRender(query, jpeg).color).toBe(color)
  })
})
