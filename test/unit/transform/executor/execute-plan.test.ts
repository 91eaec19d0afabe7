import sharp from 'sharp'
import { beforeAll, describe, expect, test } from 'vitest'
import { executePlan } from '../../../../src/transform/executor/execute-plan.ts'
import { probeImage } from '../../../../src/transform/executor/probe-image.ts'
import type { Orientation } from '../../../../src/transform/image/image-metadata.ts'
import type { Operation } from '../../../../src/transform/image/operation.ts'
import type { OutputSettings } from '../../../../src/transform/planner/transform-plan.ts'
import type { RenderPlan, Rgb } from '../../../helpers/render-fixtures.ts'
import { animation, decode, fourQuarters, isNear, planOf } from '../../../helpers/render-fixtures.ts'

const limits = { maxPixels: 50_000_000, timeoutSeconds: 20 }
const red: Rgb = [255, 0, 0]
const green: Rgb = [0, 255, 0]
const blue: Rgb = [0, 0, 255]
const white: Rgb = [255, 255, 255]
const black: Rgb = [0, 0, 0]

async function execute(bytes: Buffer, operations: readonly Operation[], rest: Partial<RenderPlan> = {}) {
  const metadata = await probeImage(bytes, limits)
  const input = { format: metadata.format, frames: metadata.frames, scale: 1, ...rest.input }
  return executePlan(bytes, metadata, planOf(metadata, operations, { ...rest, input }), limits)
}

/** Colours of the four corners: top left, top right, bottom left, bottom right. */
async function corners(body: Buffer) {
  const picture = await decode(body)
  const [right, bottom] = [picture.width - 3, picture.height - 3]
  return [picture.at(2, 2), picture.at(right, 2), picture.at(2, bottom), picture.at(right, bottom)]
}

let quarters: Buffer
beforeAll(async () => {
  quarters = await fourQuarters()
})

describe('geometry', () => {
  const color = { r: 0, g: 0, b: 0, alpha: 1 }
  const table: readonly {
    name: string
    operations: readonly Operation[]
    size: [number, number]
    colors: readonly Rgb[]
  }[] = [
    { name: 'nothing', operations: [], size: [80, 60], colors: [red, green, blue, white] },
    {
      name: 'resize',
      operations: [{ op: 'resize', width: 40, height: 50 }],
      size: [40, 50],
      colors: [red, green, blue, white],
    },
    {
      name: 'extract',
      operations: [{ op: 'extract', left: 40, top: 0, width: 40, height: 60 }],
      size: [40, 60],
      colors: [green, green, white, white],
    },
    {
      name: 'extract, extract',
      operations: [
        { op: 'extract', left: 40, top: 0, width: 40, height: 60 },
        { op: 'extract', left: 0, top: 30, width: 40, height: 30 },
      ],
      size: [40, 30],
      colors: [white, white, white, white],
    },
    {
      name: 'resize, extract, extract, flip',
      operations: [
        { op: 'resize', width: 160, height: 120 },
        { op: 'extract', left: 80, top: 0, width: 80, height: 120 },
        { op: 'extract', left: 0, top: 30, width: 80, height: 90 },
        { op: 'flip', horizontal: false, vertical: true },
      ],
      size: [80, 90],
      colors: [white, white, green, green],
    },
    {
      name: 'flip, then extract',
      operations: [
        { op: 'flip', horizontal: true, vertical: false },
        { op: 'extract', left: 0, top: 0, width: 40, height: 60 },
      ],
      size: [40, 60],
      colors: [green, green, white, white],
    },
    {
      name: 'flip both ways',
      operations: [{ op: 'flip', horizontal: true, vertical: true }],
      size: [80, 60],
      colors: [white, blue, green, red],
    },
    {
      name: 'turn, extract, resize',
      operations: [
        { op: 'orient', orientation: 6 },
        { op: 'extract', left: 30, top: 0, width: 30, height: 80 },
        { op: 'resize', width: 60, height: 160 },
      ],
      size: [60, 160],
      colors: [red, red, green, green],
    },
    {
      name: 'extend with a colour, then flip',
      operations: [
        { op: 'extend', top: 10, right: 0, bottom: 0, left: 0, fill: { kind: 'color', color } },
        { op: 'flip', horizontal: false, vertical: true },
      ],
      size: [80, 70],
      colors: [blue, white, black, black],
    },
    {
      name: 'extend with the edge',
      operations: [{ op: 'extend', top: 10, right: 10, bottom: 10, left: 10, fill: { kind: 'edge' } }],
      size: [100, 80],
      colors: [red, green, blue, white],
    },
    {
      name: 'resize twice',
      operations: [
        { op: 'resize', width: 20, height: 20 },
        { op: 'resize', width: 90, height: 30 },
      ],
      size: [90, 30],
      colors: [red, green, blue, white],
    },
    {
      name: 'crop without scaling',
      operations: [{ op: 'crop', width: 40, height: 30, strategy: 'attention' }],
      size: [40, 30],
      colors: [],
    },
  ]
  test.each(table)('$name', async ({ operations, size, colors }) => {
    const { body, width, height } = await execute(quarters, operations)
    expect([width, height]).toEqual(size)
    const picture = await decode(body)
    expect([picture.width, picture.height]).toEqual(size)
    const found = await corners(body)
    for (const [index, color] of colors.entries())
      expect(found[index], `corner ${index}`).toSatisfy((p: number[]) => isNear(p, color, 40))
  })

  test.each([1, 2, 3, 4, 5, 6, 7, 8] as const)(
    'a picture stored with orientation %i comes out upright',
    async (orientation: Orientation) => {
      const stored = await sharp(await storedAs(quarters, orientation))
        .withMetadata({ orientation })
        .jpeg({ quality: 95 })
        .toBuffer()
      const metadata = await probeImage(stored, limits)
      expect(metadata.orientation).toBe(orientation)
      const orient: Operation[] = orientation === 1 ? [] : [{ op: 'orient', orientation }]
      for (const output of everyOutput) {
        const { body } = await execute(stored, [...orient, { op: 'resize', width: 40, height: 30 }], { output })
        const header = await sharp(body).metadata()
        expect(header.orientation ?? 1).toBe(1)
        expect([header.width, header.height]).toEqual([40, 30])
        const [a, b, c, d] = await corners(body)
        expect(
          [isNear(a!, red, 60), isNear(b!, green, 60), isNear(c!, blue, 60), isNear(d!, white, 60)],
          output.format,
        ).toEqual([true, true, true, true])
      }
    },
  )

  test('a blurred copy fills the canvas', async () => {
    const canvas: Operation = { op: 'extend', top: 0, right: 80, bottom: 0, left: 80, fill: { kind: 'blur' } }
    const picture = await decode((await execute(quarters, [canvas])).body)
    expect([picture.width, picture.height]).toEqual([240, 60])
    expect(isNear(picture.at(100, 10), red)).toBe(true)
    const [r, , b, alpha] = picture.at(2, 30)
    expect(alpha).toBe(255)
    expect(Math.min(r, b)).toBeGreaterThan(30)
  })

  test('attention cuts out what stands out, at its own scale', async () => {
    const dot = await sharp({ create: { width: 30, height: 30, channels: 3, background: '#ff2020' } })
      .png()
      .toBuffer()
    const scene = await sharp({ create: { width: 300, height: 100, channels: 3, background: '#777' } })
      .composite([{ input: dot, left: 250, top: 35 }])
      .png()
      .toBuffer()
    const picture = await decode(
      (await execute(scene, [{ op: 'crop', width: 80, height: 80, strategy: 'attention' }])).body,
    )
    const reds = Array.from({ length: 80 }, (_, x) => picture.at(x, 40)).filter((pixel) =>
      isNear(pixel, [255, 32, 32], 30),
    )
    expect(reds).toHaveLength(30)
  })
})

const everyOutput: readonly OutputSettings[] = [
  { format: 'avif', quality: 60, effort: 0 },
  { format: 'webp', quality: 80, effort: 2, lossless: false },
  { format: 'jpeg', quality: 80, progressive: true, mozjpeg: true },
  { format: 'png', palette: false, alpha: 'keep' },
  { format: 'gif' },
]

/** The picture as a camera with this EXIF orientation would store it: the inverse of the upright turn. */
async function storedAs(bytes: Buffer, orientation: Orientation): Promise<Buffer> {
  const tagged = await sharp(bytes)
    .withMetadata({ orientation })
    .jpeg({ quality: 100, chromaSubsampling: '4:4:4' })
    .toBuffer()
  // 6 and 8 are each other's inverse, all others their own.
  const inverse = { 6: 8, 8: 6 }[orientation as number] ?? orientation
  const retagged =
    inverse === orientation
      ? tagged
      : await sharp(bytes)
          .withMetadata({ orientation: inverse })
          .jpeg({ quality: 100, chromaSubsampling: '4:4:4' })
          .toBuffer()
  return sharp(retagged).autoOrient().png().toBuffer()
}

describe('alpha', () => {
  const half = () =>
    sharp({ create: { width: 20, height: 20, channels: 4, background: { r: 255, g: 0, b: 0, alpha: 0 } } })
      .png()
      .toBuffer()
  const blueColor = { r: 0, g: 0, b: 255, alpha: 1 }

  test('flatten lays the picture on a colour', async () => {
    const picture = await decode((await execute(await half(), [{ op: 'flatten', color: blueColor }])).body)
    expect(picture.at(10, 10)).toEqual([0, 0, 255, 255])
  })

  test('a transparent margin is flattened too', async () => {
    const clear = { r: 0, g: 0, b: 0, alpha: 0 }
    const margin: Operation = {
      op: 'extend',
      top: 5,
      right: 5,
      bottom: 5,
      left: 5,
      fill: { kind: 'color', color: clear },
    }
    const picture = await decode((await execute(quarters, [margin, { op: 'flatten', color: blueColor }])).body)
    expect(picture.at(1, 1)).toEqual([0, 0, 255, 255])
    expect(picture.at(8, 8)).toEqual([255, 0, 0, 255])
  })

  test('a margin may stay transparent round an opaque picture', async () => {
    const clear = { r: 0, g: 0, b: 0, alpha: 0 }
    const margin: Operation = {
      op: 'extend',
      top: 5,
      right: 5,
      bottom: 5,
      left: 5,
      fill: { kind: 'color', color: clear },
    }
    const picture = await decode((await execute(quarters, [{ op: 'resize', width: 40, height: 30 }, margin])).body)
    expect(picture.at(1, 1)[3]).toBe(0)
    expect(picture.at(8, 8)).toEqual([255, 0, 0, 255])
  })

  test('JPEG without a flatten shows white, never black, under what is transparent', async () => {
    const output: OutputSettings = { format: 'jpeg', quality: 90, progressive: true, mozjpeg: false }
    const picture = await decode((await execute(await half(), [], { output })).body)
    expect(isNear(picture.at(10, 10), white)).toBe(true)
  })

  test('png32 has an alpha channel, also of an opaque picture', async () => {
    const { body } = await execute(quarters, [], { output: { format: 'png', palette: false, alpha: 'force' } })
    expect((await sharp(body).metadata()).channels).toBe(4)
  })
})

describe('colour', () => {
  const mixed = { r: 200, g: 100, b: 50 }
  const flat = () => sharp({ create: { width: 16, height: 16, channels: 3, background: mixed } })

  test('8-bit Display P3 becomes sRGB and carries no tag', async () => {
    const p3 = await flat().withIccProfile('p3').png().toBuffer()
    const { body } = await execute(p3, [])
    expect(isNear((await decode(body)).at(8, 8), [200, 100, 50], 2)).toBe(true)
    expect((await sharp(body).metadata()).icc).toBeUndefined()
  })

  test('16-bit Display P3 becomes 8-bit sRGB', async () => {
    const values = Uint16Array.from({ length: 3 * 64 }, (_, index) => [200, 100, 50][index % 3]! * 257)
    const raw = { width: 8, height: 8, channels: 3 as const, depth: 'ushort' }
    const p3 = await sharp(values, { raw }).toColourspace('rgb16').withIccProfile('p3').png().toBuffer()
    const { body } = await execute(p3, [])
    expect((await sharp(body).metadata()).depth).toBe('uchar')
    // The stored numbers are P3, so the sRGB ones are further apart.
    expect(isNear((await decode(body)).at(4, 4), [213, 94, 36], 6)).toBe(true)
  })

  test('CMYK without a profile is not inverted', async () => {
    const cmyk = await flat().toColourspace('cmyk').jpeg({ quality: 95 }).toBuffer()
    expect((await probeImage(cmyk, limits)).colorSpace).toBe('cmyk')
    expect(isNear((await decode((await execute(cmyk, [])).body)).at(8, 8), [200, 100, 50], 30)).toBe(true)
  })

  test.each([
    ['origin', undefined],
    ['strip', undefined],
    ['srgb', 480],
    ['tinysrgb', 480],
    ['adobergb1998', 444],
  ] as const)('cs=%s writes a profile of %s bytes, and the colour stays', async (color, profileBytes) => {
    const { body } = await execute(await flat().png().toBuffer(), [], { color })
    expect((await sharp(body).metadata()).icc?.length).toBe(profileBytes)
    expect(isNear((await decode(body)).at(8, 8), [200, 100, 50], 3)).toBe(true)
  })

  test('adobergb1998 changes the stored numbers', async () => {
    const { body } = await execute(await flat().png().toBuffer(), [], { color: 'adobergb1998' })
    const stored = await sharp(body, { ignoreIcc: true }).raw().toBuffer()
    expect(isNear([...stored.subarray(0, 3)], [177, 100, 56], 2)).toBe(true)
  })

  test('enhance stretches a dull picture and spares a full one', async () => {
    const dull = await sharp(quarters).linear(0.7, 30).png().toBuffer()
    const lifted = await decode((await execute(dull, [{ op: 'enhance' }])).body)
    expect(lifted.at(70, 50)[0]).toBeGreaterThan(240)
    const full = await decode((await execute(quarters, [{ op: 'enhance' }])).body)
    expect(isNear(full.at(10, 10), red)).toBe(true)
  })
})

describe('animation', () => {
  const colors = ['#ff0000', '#00ff00', '#0000ff']
  const expected = [red, green, blue]
  const targets: readonly OutputSettings[] = [
    { format: 'gif' },
    { format: 'webp', quality: 80, effort: 2, lossless: false },
  ]

  test.each(targets)('frames, order, delays and loop survive into $format', async (output) => {
    for (const format of ['gif', 'webp'] as const) {
      const operations: Operation[] = [
        { op: 'resize', width: 20, height: 15 },
        { op: 'extract', left: 5, top: 0, width: 10, height: 15 },
        {
          op: 'extend',
          top: 5,
          right: 5,
          bottom: 5,
          left: 5,
          fill: { kind: 'color', color: { r: 255, g: 255, b: 255, alpha: 1 } },
        },
      ]
      const { body, frames, width, height } = await execute(await animation(format, colors), operations, { output })
      expect([frames, width, height]).toEqual([3, 20, 25])
      const header = await sharp(body).metadata()
      expect([header.pages, header.loop, header.delay, header.width, header.height]).toEqual([
        3,
        3,
        [120, 120, 120],
        20,
        25,
      ])
      for (const [page, color] of expected.entries()) {
        const frame = await decode(body, page)
        expect(isNear(frame.at(10, 12), color, 20), `frame ${page}`).toBe(true)
        expect(isNear(frame.at(1, 1), white, 20)).toBe(true)
      }
    }
  })

  test.each<{ name: string; operations: Operation[]; size: [number, number] }>([
    { name: 'upside down', operations: [{ op: 'flip', horizontal: false, vertical: true }], size: [40, 30] },
    { name: 'a quarter turn', operations: [{ op: 'orient', orientation: 6 }], size: [30, 40] },
    {
      name: 'blurred margin',
      operations: [{ op: 'extend', top: 5, right: 5, bottom: 5, left: 5, fill: { kind: 'blur' } }],
      size: [50, 40],
    },
    { name: 'enhance', operations: [{ op: 'enhance' }], size: [40, 30] },
  ])('$name keeps the order of the frames', async ({ operations, size }) => {
    const { body } = await execute(await animation('gif', colors), operations, { output: { format: 'gif' } })
    const header = await sharp(body).metadata()
    expect([header.pages, header.width, header.height]).toEqual([3, ...size])
    for (const [page, color] of expected.entries())
      expect(isNear((await decode(body, page)).at(10, 10), color, 20)).toBe(true)
  })

  test('frames are not cut by what is in each of them: the planner cuts them alike', async () => {
    const crop: Operation = { op: 'crop', width: 20, height: 20, strategy: 'attention' }
    const cut = execute(await animation('gif', colors), [crop], { output: { format: 'gif' } })
    await expect(cut).rejects.toMatchObject({ code: 'internal' })
  })

  test('a still output shows the first frame', async () => {
    const source = await animation('webp', colors)
    const { body, frames } = await execute(source, [], { input: { format: 'webp', frames: 1, scale: 1 } })
    expect(frames).toBe(1)
    expect(isNear((await decode(body)).at(10, 10), red)).toBe(true)
  })
})

describe('SVG', () => {
  const svg = Buffer.from(
    '<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"><rect width="5" height="10" fill="#f00"/></svg>',
  )

  test('is drawn at the size asked for, not scaled up from its own', async () => {
    const operations: Operation[] = [{ op: 'resize', width: 300, height: 300 }]
    const picture = await decode(
      (await execute(svg, operations, { input: { format: 'svg', frames: 1, scale: 30 } })).body,
    )
    expect(picture.at(147, 150)).toEqual([255, 0, 0, 255])
    expect(picture.at(152, 150)[3]).toBe(0)
  })

  test('is passed through sanitised', async () => {
    const hostile = Buffer.from(svg.toString().replace('<rect', '<script>alert(1)</script><rect onclick="x()"'))
    const metadata = await probeImage(hostile, limits)
    const plan = { kind: 'passthrough', format: 'svg', sanitize: true, width: 10, height: 10 } as const
    const { body } = await executePlan(hostile, metadata, plan, limits)
    expect(body.toString()).not.toMatch(/script|onclick/)
    expect(body.toString()).toContain('<rect')
  })
})

describe('metadata and limits', () => {
  test('nothing of EXIF, XMP or IPTC is left', async () => {
    const exif = { IFD0: { Copyright: 'somebody' }, IFD3: { GPSLatitudeRef: 'N', GPSLatitude: '51/1 30/1 0/1' } }
    const tagged = await sharp(quarters)
      .withExif(exif)
      .withXmp('<x:xmpmeta xmlns:x="adobe:ns:meta/"/>')
      .jpeg()
      .toBuffer()
    expect((await sharp(tagged).metadata()).exif).toBeDefined()
    for (const output of everyOutput) {
      const { exif: foundExif, xmp, iptc } = await sharp((await execute(tagged, [], { output })).body).metadata()
      expect([foundExif, xmp, iptc]).toEqual([undefined, undefined, undefined])
    }
  })

  test('a passthrough returns the very bytes', async () => {
    const metadata = await probeImage(quarters, limits)
    const plan = { kind: 'passthrough', format: 'png', sanitize: false, width: 80, height: 60 } as const
    expect((await executePlan(quarters, metadata, plan, limits)).body).toBe(quarters)
  })

  test('a file that ends too soon is undecodable', async () => {
    const whole = await sharp(quarters).resize(800, 600).jpeg().toBuffer()
    const metadata = await probeImage(whole, limits)
    const cut = executePlan(whole.subarray(0, whole.length / 2), metadata, planOf(metadata, []), limits)
    await expect(cut).rejects.toMatchObject({
      code: 'undecodable',
      detail: expect.not.stringMatching(/Vips|\//) as string,
    })
  })

  test('more pixels than allowed are not decoded', async () => {
    const metadata = await probeImage(quarters, limits)
    await expect(
      executePlan(quarters, metadata, planOf(metadata, []), { ...limits, maxPixels: 100 }),
    ).rejects.toMatchObject({ code: 'too_many_pixels' })
  })
})
