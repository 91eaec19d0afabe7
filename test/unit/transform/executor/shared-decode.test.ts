import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Sharp } from 'sharp'
import sharp from 'sharp'
import { beforeAll, describe, expect, test } from 'vitest'
import { executePlan } from '../../../../src/transform/executor/execute-plan.ts'
import type { SharedPictures } from '../../../../src/transform/executor/execute-plan.ts'
import { probeImage } from '../../../../src/transform/executor/probe-image.ts'
import type { Raster } from '../../../../src/transform/executor/raster.ts'
import { sharedDecodeOf, shrinkingOf } from '../../../../src/transform/executor/shared-decode.ts'
import type { ImageMetadata } from '../../../../src/transform/image/image-metadata.ts'
import type { Operation } from '../../../../src/transform/image/operation.ts'
import type { OutputSettings } from '../../../../src/transform/planner/transform-plan.ts'
import { lumaPlane, similarity } from '../../../../scripts/structural-similarity.ts'
import { planOf } from '../../../helpers/render-fixtures.ts'
import { metadataOf } from '../../../helpers/plan-request.ts'

const limits = { maxPixels: 100_000_000, timeoutSeconds: 20 }
const maxBytes = 96_000_000
const corpus = path.resolve(import.meta.dirname, '../../../../../shared/corpus')

const avif: OutputSettings = { format: 'avif', quality: 60, effort: 0 }
const webp: OutputSettings = { format: 'webp', quality: 76, effort: 0, lossless: false }
const jpeg: OutputSettings = { format: 'jpeg', quality: 75, progressive: true, mozjpeg: false }

/** Waves and colours at all scales, so that a wrong pixel shows. */
function drawn(width: number, height: number, channels: 3 | 4 = 3): Sharp {
  const pixels = Buffer.alloc(width * height * channels)
  for (let at = 0, y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let channel = 0; channel < channels; channel++) {
        pixels[at++] = 128 + 80 * Math.sin((x * y) / (900 + channel * 400)) + 40 * Math.cos(x / (3 + channel) + y / 7)
      }
    }
  }
  return sharp(pixels, { raw: { width, height, channels } })
}

function remember(isBuilding = true): SharedPictures & { readonly names: string[] } {
  const kept = new Map<string, Raster>()
  const names: string[] = []
  return {
    names,
    building: { decode: isBuilding, drawing: isBuilding },
    maxBytes,
    get: (name) => kept.get(name),
    keep: (name, raster) => {
      names.push(name)
      kept.set(name, raster)
    },
  }
}

/** Renders each plan alone, then all of them after one another from what the others left behind, in both directions. */
async function expectSameBytes(
  bytes: Buffer,
  plansFor: (metadata: ImageMetadata) => readonly ReturnType<typeof planOf>[],
): Promise<readonly string[]> {
  const metadata = await probeImage(bytes, limits)
  const plans = plansFor(metadata)
  const alone = await Promise.all(plans.map(async (plan) => (await executePlan(bytes, metadata, plan, limits)).body))
  const forwards = remember()
  const backwards = remember()
  for (const [shared, order] of [
    [forwards, [...plans.keys()]],
    [backwards, [...plans.keys()].toReversed()],
  ] as const) {
    for (const index of order) {
      const { body } = await executePlan(bytes, metadata, plans[index]!, { ...limits, shared })
      expect(body.equals(alone[index]!), JSON.stringify(plans[index])).toBe(true)
    }
  }
  return forwards.names
}

const widths = [90, 130, 170, 200, 230, 280, 330, 400, 500, 640, 800, 1200]

function srcset(metadata: ImageMetadata, before: readonly Operation[] = [], turned = false) {
  const [w, h] = turned ? [metadata.height, metadata.width] : [metadata.width, metadata.height]
  return widths.flatMap((width) =>
    [avif, webp, jpeg].map((output) =>
      planOf(metadata, [...before, { op: 'resize', width, height: Math.max(1, Math.round((width * h) / w)) }], {
        output,
      }),
    ),
  )
}

describe('a variant is the same whatever was rendered before it', () => {
  let photo: Buffer
  beforeAll(async () => {
    photo = await drawn(1601, 1203).jpeg({ quality: 88 }).toBuffer()
  })

  test('all widths and formats of a JPEG, from one decode for each shrink', async () => {
    const names = await expectSameBytes(photo, (metadata) => srcset(metadata))
    const decodes = names.filter((name) => name.startsWith('decoded/'))
    expect(decodes.toSorted()).toEqual(['decoded/1', 'decoded/2', 'decoded/4', 'decoded/8'])
    expect(names.filter((name) => name.startsWith('drawn/'))).toHaveLength(widths.length)
  })

  test.each([1, 2, 3, 4, 5, 6, 7, 8] as const)('orientation %i', async (orientation) => {
    const turned = await sharp(photo).withMetadata({ orientation }).jpeg({ quality: 80 }).toBuffer()
    const before = orientation === 1 ? [] : [{ op: 'orient', orientation } as const]
    await expectSameBytes(turned, (metadata) => srcset(metadata, before, orientation > 4).slice(4, 14))
  })

  test.each([
    ['progressive 4:4:4', () => drawn(1000, 700).jpeg({ progressive: true, chromaSubsampling: '4:4:4' })],
    ['grey', () => drawn(1000, 700).greyscale().jpeg()],
    ['CMYK', () => drawn(1000, 700).toColourspace('cmyk').jpeg()],
    ['a wide profile', () => drawn(1000, 700).withIccProfile('p3').jpeg()],
    ['a density', () => drawn(1000, 700).withMetadata({ density: 300 }).jpeg()],
    ['PNG with alpha', () => drawn(1000, 700, 4).png()],
    ['PNG with a palette', () => drawn(600, 400).png({ palette: true })],
    ['16-bit PNG', () => drawn(600, 400).toColourspace('rgb16').png()],
    ['TIFF', () => drawn(600, 400).tiff()],
    ['GIF', () => drawn(300, 200).gif()],
    ['WebP', () => drawn(600, 400, 4).webp()],
    ['AVIF', () => drawn(600, 400).avif({ effort: 0 })],
  ])('%s', async (_, make) => {
    await expectSameBytes(await make().toBuffer(), (metadata) => srcset(metadata).slice(0, 27))
  })

  test('crops, rectangles, fills and enhancement', async () => {
    const { width, height } = await sharp(photo).metadata()
    const resize = { op: 'resize', width: 420, height: 300 } as const
    const lists: readonly (readonly Operation[])[] = [
      [{ op: 'extract', left: 13, top: 21, width: 700, height: 500 }, resize],
      [resize, { op: 'extract', left: 10, top: 10, width: 300, height: 200 }],
      [resize, { op: 'crop', width: 200, height: 200, strategy: 'attention' }],
      [{ op: 'crop', width: 900, height: 900, strategy: 'entropy' }, resize],
      [resize, { op: 'extend', top: 5, right: 6, bottom: 7, left: 8, fill: { kind: 'blur' } }],
      [
        resize,
        {
          op: 'extend',
          top: 5,
          right: 6,
          bottom: 7,
          left: 8,
          fill: { kind: 'color', color: { r: 9, g: 99, b: 199, alpha: 0.3 } },
        },
      ],
      [{ op: 'extend', top: 0, right: width, bottom: height, left: 0, fill: { kind: 'edge' } }],
      [{ op: 'enhance' }, resize],
      [resize, { op: 'enhance' }, { op: 'flip', horizontal: true, vertical: false }],
      [],
    ]
    await expectSameBytes(photo, (metadata) =>
      lists.flatMap((operations) => [webp, jpeg].map((output) => planOf(metadata, operations, { output }))),
    )
  })

  test.skipIf(!existsSync(corpus))(
    'photographs and odd files of the corpus',
    async () => {
      const files = [
        'photos/portrait-2725x2225.jpg',
        'formats/Channel_digital_image_CMYK_color.jpg',
        'formats/iphone13.heic',
      ]
      for (const file of [...files, 'formats/gain-map.jpg', 'formats/p3.png', 'formats/cielab-dagams.tiff']) {
        await expectSameBytes(readFileSync(path.join(corpus, file)), (metadata) => srcset(metadata).slice(22, 26))
      }
    },
    60_000,
  )
})

describe('a camera picture that is made a desktop wide', () => {
  const camera = { width: 4000, height: 3000 }
  let bytes: Buffer
  let metadata: ImageMetadata
  let halved: Buffer
  const planOfWidth = (width: number, output: OutputSettings = jpeg) =>
    planOf(metadata, [{ op: 'resize', width, height: Math.floor((width * 3) / 4) }], { output })
  const render = (width: number, other: Parameters<typeof executePlan>[3] = limits) =>
    executePlan(bytes, metadata, planOfWidth(width), other)

  beforeAll(async () => {
    bytes = await drawn(1000, 750)
      .resize({ ...camera, fit: 'fill' })
      .jpeg()
      .toBuffer()
    metadata = await probeImage(bytes, limits)
    const folder = mkdtempSync(path.join(tmpdir(), 'halftone-test-'))
    writeFileSync(path.join(folder, 'camera.jpg'), bytes)
    halved = await sharp(path.join(folder, 'camera.jpg[shrink=2]')).resize(1500, 1125).raw().toBuffer()
    rmSync(folder, { recursive: true })
  })

  const pixels = (body: Buffer) => sharp(body).raw().toBuffer()
  const encoded = (raw: Buffer) =>
    sharp(raw, { raw: { width: 1500, height: 1125, channels: 3 } })
      .jpeg({ quality: 75, progressive: true })
      .toBuffer()

  test('is halved by the decoder, alone as beside others, whatever may be kept', async () => {
    const { body, sharing } = await render(1500)
    expect(sharing).toBe('none')
    expect((await pixels(body)).equals(await pixels(await encoded(halved)))).toBe(true)
    const kept = remember()
    expect((await render(1500, { ...limits, shared: kept })).body.equals(body)).toBe(true)
    expect(kept.names).toContain('decoded/2')
    const nothingKept = { ...remember(false), maxBytes: 0 }
    expect((await render(1500, { ...limits, shared: nothingKept })).body.equals(body)).toBe(true)
    expect(nothingKept.names).toEqual([])
    const all = [1280, 1400, 1500, 1600, 1601].flatMap((width) => [planOfWidth(width, webp), planOfWidth(width)])
    expect(await expectSameBytes(bytes, () => all)).toEqual(expect.arrayContaining(['decoded/1', 'decoded/2']))
  })

  test('does not differ where only memory takes a file', async () => {
    const { body } = await render(1500)
    const before = process.env.TMPDIR
    process.env.TMPDIR = '/nowhere'
    try {
      expect((await render(1500)).body.equals(body)).toBe(process.platform === 'linux')
    } finally {
      if (before === undefined) delete process.env.TMPDIR
      else process.env.TMPDIR = before
    }
  })

  test.each([
    ['turned', (picture: Sharp) => picture.withMetadata({ orientation: 6 }).jpeg()],
    ['grey', (picture: Sharp) => picture.greyscale().jpeg()],
    ['CMYK', (picture: Sharp) => picture.toColourspace('cmyk').jpeg()],
    ['with a wide profile', (picture: Sharp) => picture.withIccProfile('p3').jpeg()],
  ])('one that is %s, alone as beside others, and as sharp draws it', async (_, make) => {
    const odd = await make(drawn(1000, 750).resize({ width: 3264, height: 2448, fit: 'fill' })).toBuffer()
    const found = await probeImage(odd, limits)
    const size = { width: 1200, height: 900 }
    const before = found.orientation === 1 ? [] : [{ op: 'orient', orientation: 6 } as const]
    const resize = found.orientation === 1 ? size : { width: size.height, height: size.width }
    const plans = [avif, jpeg].map((output) => planOf(found, [...before, { op: 'resize', ...resize }], { output }))
    expect(plans.map((plan) => shrinkingOf(found, plan).isEarly)).toEqual([true, true])
    await expectSameBytes(odd, () => plans)
    const { body, width, height } = await executePlan(odd, found, plans[1]!, limits)
    expect({ width, height }).toEqual(resize)
    const luma = async (picture: Sharp) =>
      lumaPlane(await picture.toColourspace('srgb').removeAlpha().raw().toBuffer(), resize.width, resize.height)
    const whole = await sharp(odd)
      .autoOrient()
      .resize({ ...resize, fit: 'fill' })
      .jpeg({ quality: 75 })
      .toBuffer()
    const ours = await luma(sharp(body).pipelineColourspace('srgb'))
    expect(similarity(await luma(sharp(whole)), ours).ssim).toBeGreaterThan(0.98)
  })

  test('looks as from the whole decode', async () => {
    const whole = await pixels(await encoded(await sharp(bytes).resize(1500, 1125).raw().toBuffer()))
    const { body } = await render(1500)
    const drawnHere = await pixels(body)
    expect(whole.equals(drawnHere)).toBe(false)
    const { ssim } = similarity(lumaPlane(whole, 1500, 1125), lumaPlane(drawnHere, 1500, 1125))
    expect(ssim).toBeGreaterThan(0.99)
  })

  test.each([
    ['at 2.5 times', 1600, {}, true],
    ['at less', 1601, {}, false],
    ['at three times, where sharp halves by itself', 1333, {}, false],
    ['of 7.99 megapixels', 1200, { width: 3264, height: 2448 }, true],
    ['of 7.4', 1200, { width: 3142, height: 2356 }, false],
    ['of 63.9', 3500, { width: 9230, height: 6923 }, true],
    ['of 64.1', 3500, { width: 9245, height: 6934 }, false],
    ['a PNG', 1500, { format: 'png' }, false],
    ['16 bits a channel', 1500, { colorSpace: 'rgb16' }, false],
  ] as const)('%s', (_, width, other, isHalved) => {
    const original = metadataOf(camera.width, camera.height, { format: 'jpeg', ...other })
    const plan = planOf(original, [{ op: 'resize', width, height: Math.round((width * 3) / 4) }], { output: webp })
    expect(shrinkingOf(original, plan).isEarly).toBe(isHalved)
    expect(shrinkingOf(original, { ...plan, color: 'srgb' }).isEarly).toBe(false)
    expect(shrinkingOf(original, { ...plan, output: { format: 'gif' } }).isEarly).toBe(false)
  })
})

describe('what is built and when', () => {
  test('a lone variant builds nothing, but starts from what is there', async () => {
    const bytes = await drawn(800, 600).jpeg().toBuffer()
    const metadata = await probeImage(bytes, limits)
    const plan = planOf(metadata, [{ op: 'resize', width: 200, height: 150 }], { output: webp })
    const lone = remember(false)
    expect(await executePlan(bytes, metadata, plan, { ...limits, shared: lone })).toMatchObject({ sharing: 'none' })
    expect(lone.names).toEqual([])
    const shared = remember()
    expect(await executePlan(bytes, metadata, plan, { ...limits, shared })).toMatchObject({ sharing: 'built' })
    const later = { ...shared, building: { decode: false, drawing: false } }
    expect(await executePlan(bytes, metadata, plan, { ...limits, shared: later })).toMatchObject({ sharing: 'drawn' })
    const other = planOf(metadata, [{ op: 'resize', width: 220, height: 165 }], { output: webp })
    expect(await executePlan(bytes, metadata, other, { ...limits, shared: later })).toMatchObject({
      sharing: 'decoded',
    })
  })

  test('a damaged original fails as it does alone', async () => {
    const whole = await drawn(800, 600).jpeg().toBuffer()
    const metadata = await probeImage(whole, limits)
    const plan = planOf(metadata, [{ op: 'resize', width: 150, height: 110 }], { output: webp })
    const bytes = whole.subarray(0, whole.length / 2)
    await expect(executePlan(bytes, metadata, plan, { ...limits, shared: remember() })).rejects.toMatchObject({
      code: 'undecodable',
    })
  })

  test.each([
    ['a JPEG at less than a third', {}, { width: 1000 }, 'decoded/2'],
    ['at less than a ninth', {}, { width: 400 }, 'decoded/8'],
    ['a PNG', { format: 'png' }, { width: 400 }, 'decoded/1'],
    ['a WebP, which is scaled while it is decoded', { format: 'webp' }, { width: 400 }, undefined],
    ['an SVG, drawn at its size', { format: 'svg' }, { width: 400 }, undefined],
    ['an animation', { format: 'gif', frames: 3 }, { width: 400 }, undefined],
    ['16 bits a channel', { format: 'png', colorSpace: 'rgb16' }, { width: 400 }, undefined],
    ['one beyond the bytes allowed', { width: 40_000, height: 30_000, format: 'png' }, { width: 400 }, undefined],
  ] as const)('%s', (_, other, { width }, name) => {
    const metadata = metadataOf(4000, 3000, other)
    const height = Math.round((width * metadata.height) / metadata.width)
    const plan = planOf(metadata, [{ op: 'resize', width, height }], { output: avif })
    expect(sharedDecodeOf(metadata, plan, maxBytes)?.name).toBe(name)
    expect(sharedDecodeOf(metadata, { ...plan, color: 'adobergb1998' }, maxBytes)).toBeUndefined()
    expect(sharedDecodeOf(metadata, { ...plan, output: { format: 'gif' } }, maxBytes)).toBeUndefined()
  })
})
