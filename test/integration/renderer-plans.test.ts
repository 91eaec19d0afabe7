import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RendererPool } from '../../src/transform/executor/renderer-pool.ts'
import { createRendererPool } from '../../src/transform/executor/renderer-pool.ts'
import { outputFormats } from '../../src/transform/image/formats.ts'
import { acceptsAll, acceptsNone, planQuery } from '../helpers/plan-request.ts'
import { animation, fourQuarters, quickRenderConfig } from '../helpers/render-fixtures.ts'

const queries = [
  '',
  'w=50',
  'h=33&dpr=2',
  'w=100&h=100&fit=crop',
  'w=37&h=91&fit=crop&crop=entropy',
  'w=91&h=37&fit=crop&crop=attention',
  'w=30&h=30&fit=crop&crop=top,left',
  'w=120&h=50&fit=crop&crop=focalpoint&fp-x=0.9&fp-y=0.1&fp-z=3',
  'w=200&h=100&fit=fill&fill=blur',
  'w=200&h=100&fit=fill&fill=solid&fill-color=80ff0000',
  'w=200&h=100&fit=fillmax&fill=blur',
  'w=200&h=100&fit=clamp',
  'w=64&h=64&fit=scale',
  'w=300&h=10&fit=max',
  'w=10&h=300&fit=min',
  'rect=5,3,20,10&w=70',
  'w=50&flip=hv&or=6',
  'or=90&w=40&h=20&fit=crop',
  'w=60&bg=fff&fm=jpg&auto=enhance',
  'w=60&fm=png8',
  'w=60&fm=png32',
  'w=60&fm=gif',
  'w=60&fm=webp&lossless=1',
  'w=60&fm=pjpg&cs=adobergb1998',
  'w=60&cs=tinysrgb&fm=avif',
  'w=60&auto=format,compress',
]

describe('what the planner promises, the renderers deliver', () => {
  let pool: RendererPool
  const pictures = new Map<string, Buffer>()

  beforeAll(async () => {
    pool = createRendererPool({ config: { ...quickRenderConfig, queueLength: 500 }, log: () => undefined })
    const quarters = await fourQuarters()
    const clear = { r: 0, g: 0, b: 0, alpha: 0.3 }
    pictures.set('jpeg', await sharp(quarters).jpeg().toBuffer())
    pictures.set('jpeg on its side', await sharp(quarters).withMetadata({ orientation: 6 }).jpeg().toBuffer())
    pictures.set('mirrored jpeg', await sharp(quarters).withMetadata({ orientation: 7 }).jpeg().toBuffer())
    pictures.set('grey jpeg', await sharp(quarters).greyscale().jpeg().toBuffer())
    pictures.set('cmyk jpeg', await sharp(quarters).toColourspace('cmyk').jpeg().toBuffer())
    pictures.set(
      'png with alpha',
      await sharp({ create: { width: 57, height: 41, channels: 4, background: clear } })
        .png()
        .toBuffer(),
    )
    pictures.set(
      'grey png with alpha',
      await sharp({ create: { width: 57, height: 41, channels: 4, background: clear } })
        .toColourspace('b-w')
        .png()
        .toBuffer(),
    )
    pictures.set('16-bit tiff', await sharp(quarters).toColourspace('rgb16').tiff().toBuffer())
    pictures.set('one pixel', await sharp(quarters).resize(1, 1).png().toBuffer())
    pictures.set('a thread', await sharp(quarters).resize(900, 2, { fit: 'fill' }).webp().toBuffer())
    pictures.set('avif', await sharp(quarters).avif({ effort: 0 }).toBuffer())
    pictures.set('gif', await animation('gif', ['#f00', '#0f0', '#00f']))
    pictures.set('animated webp', await animation('webp', ['#f00', '#0f0', '#00f']))
    pictures.set(
      'svg',
      Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 33 21"><circle cx="9" cy="9" r="8"/></svg>'),
    )
  })
  afterAll(() => pool.close())

  test.each(queries)('?%s', async (query) => {
    const renders = [...pictures].flatMap(([name, original]) =>
      [acceptsNone, acceptsAll].map(async (capabilities) => {
        const planFor = (metadata: Parameters<typeof planQuery>[1]) => planQuery(query, metadata, capabilities)
        const image = await pool
          .render({ original, sourceKey: name, sourceName: 'plans', planFor }, new AbortController().signal)
          .catch((error: unknown) => {
            throw new Error(`${name} failed`, { cause: error })
          })
        if (image.plan.kind === 'passthrough') return
        const header = await sharp(image.body, { pages: -1 }).metadata()
        const found = [header.width, header.pageHeight ?? header.height]
        expect(found, name).toEqual([image.plan.width, image.plan.height])
        expect([image.width, image.height], name).toEqual(found)
        expect(header.format === 'heif' ? 'avif' : header.format, name).toBe(image.plan.output.format)
        expect(image.contentType).toBe(outputFormats[image.plan.output.format].contentType)
        if (image.frames > 1) expect(header.pages, name).toBe(image.frames)
      }),
    )
    await Promise.all(renders)
  })
})
